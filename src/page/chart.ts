/**
 * A bar for each span of time: relayed, queued and failed on top of one another.
 *
 * @packageDocumentation
 */
import type { Rate } from '../core/ports/activity.ts';
import { h, svg } from './dom.ts';
import { WORDS } from './words.ts';

const WIDTH = 600;
const HEIGHT = 120;
const KINDS = ['relayed', 'queued', 'failed'] as const;

export function chart(rates: readonly Rate[]): HTMLElement {
  const top = Math.max(1, ...rates.map(total));
  const width = WIDTH / Math.max(1, rates.length);
  const sum = (kind: (typeof KINDS)[number]): number => rates.reduce((all, rate) => all + rate[kind], 0);
  const [relayed, queued, failed] = [sum('relayed'), sum('queued'), sum('failed')];
  return h(
    'figure',
    {},
    svg(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        class: 'chart',
        role: 'img',
        preserveAspectRatio: 'none',
        'aria-label': WORDS.overview.chart(relayed, queued, failed),
      },
      svg('line', { x1: 0, y1: HEIGHT - 0.5, x2: WIDTH, y2: HEIGHT - 0.5, class: 'axis' }),
      ...rates.flatMap((rate, index) => bars(rate, index * width, width, HEIGHT / top)),
    ),
    h(
      'figcaption',
      {},
      ...(
        [
          ['relayed', relayed],
          ['queued', queued],
          ['failed', failed],
        ] as const
      ).map(([kind, count]) => h('span', { class: `legend ${kind}` }, `${count} ${WORDS.overview[kind]}`)),
    ),
  );
}

function bars(rate: Rate, x: number, width: number, scale: number): SVGElement[] {
  let y = HEIGHT;
  return KINDS.flatMap((kind) => {
    const height = rate[kind] * scale;
    if (height === 0) return [];
    y -= height;
    return [
      svg('rect', {
        x: (x + width * 0.1).toFixed(2),
        y: y.toFixed(2),
        width: (width * 0.8).toFixed(2),
        height: height.toFixed(2),
        class: kind,
      }),
    ];
  });
}

const total = ({ relayed, queued, failed }: Rate): number => relayed + queued + failed;
