/** The third part: the doctor, step by step as it goes. */
import type { ExaminationStep } from '../../core/ports/setup.ts';
import { h, replace } from '../dom.ts';
import { badge, section, table, type Tone } from '../parts.ts';
import type { Server } from '../server.ts';
import { WORDS } from '../words.ts';
import { asking } from './asking.ts';
import type { ChosenAccount } from './chosen-account.ts';

const W = WORDS.setup.doctor;
const TONES: Readonly<Record<ExaminationStep['result'], Tone>> = { ok: 'good', warn: 'waiting', fail: 'bad', skip: 'plain' };

export function examinationPart(server: Server, { name }: ChosenAccount): HTMLElement {
  const results = h('div', {});
  const begin = async () => {
    const steps: ExaminationStep[] = [];
    for await (const step of server.lines<ExaminationStep>(`/api/v1/accounts/${encodeURIComponent(name)}/examination`)) {
      steps.push(step);
      replace(results, stepTable(steps));
    }
    return steps.some(({ result }) => result === 'fail') ? undefined : badge('good', W.ok);
  };
  return section(W.title, h('p', { class: 'quiet' }, W.note), asking([], { [W.begin]: begin }), results);
}

function stepTable(steps: readonly ExaminationStep[]): HTMLElement {
  return table(
    W.title,
    [
      { title: W.column, label: W.column, cell: ({ check }) => check },
      { title: W.result, label: W.result, cell: ({ result }) => badge(TONES[result], result) },
      {
        title: W.detail,
        label: W.detail,
        cell: ({ detail, problem, remedy }) => [
          h('div', { class: 'reply' }, detail, problem !== undefined && [' ', h('code', {}, problem)]),
          remedy !== undefined && h('div', { class: 'quiet' }, remedy),
        ],
      },
    ],
    steps,
    '',
  );
}
