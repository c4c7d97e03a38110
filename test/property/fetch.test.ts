/** Whatever a mailbox does and whenever the process dies: no message is lost, and each death costs at most one repetition. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { minutes, seconds } from '../../src/core/clock.ts';
import type { AfterFetch } from '../../src/core/fetch-rule.ts';
import { ProblemError, problem } from '../../src/core/problem.ts';
import { AT_SERVER, FetchLab } from '../support/fetch-lab.ts';

type Event =
  | { readonly kind: 'arrive'; readonly count: number }
  | { readonly kind: 'kill'; readonly after: number }
  | { readonly kind: 'lose'; readonly after: number }
  | { readonly kind: 'renumber' }
  | { readonly kind: 'remove-old' }
  | { readonly kind: 'defer'; readonly one: number };

const steps = fc.integer({ min: 1, max: 25 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('arrive' as const), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('kill' as const), after: steps }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lose' as const), after: steps }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'renumber' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'remove-old' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('defer' as const), one: fc.integer({ min: 2, max: 5 }) }) },
);
const after: fc.Arbitrary<AfterFetch> = fc.constantFrom({ kind: 'keep' }, { kind: 'seen' }, { kind: 'delete' });

describe('fetching', () => {
  it('loses nothing and repeats at most one message a kill', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 14 }), after, async (events, then) => {
        const lab = new FetchLab({ after: then, tries: 1000 });
        const expected = new Set<string>();
        let kills = 0;
        let validity = 1n;
        await lab.start();
        for (const one of events) {
          let left = 'after' in one ? one.after : 0;
          if (one.kind === 'kill') {
            lab.hook = () => {
              left -= 1;
              return left <= 0 ? new Promise(() => {}) : undefined;
            };
            lab.arrive(`k${expected.size}`);
            expected.add(`k${expected.size}`);
            await lab.pass(seconds(1));
            kills += 1;
            await lab.restart();
          } else if (one.kind === 'lose') {
            lab.hook = async (step) => {
              if (!AT_SERVER.has(step)) return;
              left -= 1;
              if (left === 0) throw new ProblemError(problem('UPSTREAM_LOST', 'cut'));
            };
          } else if (one.kind === 'arrive') {
            for (let index = 0; index < one.count; index += 1) {
              const id = `m${expected.size}`;
              lab.arrive(id);
              expected.add(id);
            }
          } else if (one.kind === 'renumber') {
            validity += 1n;
            lab.mailbox.renumber(validity);
            // A session does not outlive it.
            lab.hook = async (step) => {
              if (!AT_SERVER.has(step)) return;
              lab.hook = () => undefined;
              throw new ProblemError(problem('UPSTREAM_LOST', 'renumbered'));
            };
            lab.fetcher.pause(false);
          } else if (one.kind === 'remove-old') {
            for (const [uid, { content }] of lab.mailbox.messages) {
              const id = /<(.*)>/.exec(content)?.[1] ?? '';
              if (lab.ids.includes(id)) lab.mailbox.messages.delete(uid);
            }
          } else {
            let offers = 0;
            lab.answer = () => {
              offers += 1;
              return offers % one.one === 0 ? { kind: 'later', problem: problem('FETCH_SINK_FAILED') } : { kind: 'stored', detail: '' };
            };
          }
          await lab.pass(seconds(1));
        }
        lab.hook = () => undefined;
        lab.answer = () => ({ kind: 'stored', detail: '' });
        await lab.restart();
        await lab.pass(minutes(30));
        await lab.pass(minutes(30));
        const counts = new Map<string, number>();
        for (const id of lab.ids) counts.set(id, (counts.get(id) ?? 0) + 1);
        expect([...expected].filter((id) => !counts.has(id))).toEqual([]);
        const repetitions = [...counts.values()].reduce((sum, count) => sum + count - 1, 0);
        // The restart at the end is no death at a bad moment.
        expect(repetitions).toBeLessThanOrEqual(kills);
        expect(lab.cursor.owed.size).toBe(0);
        expect(lab.cursor.held.size).toBe(0);
        if (then.kind === 'delete' && validity === 1n) expect(lab.mailbox.messages.size).toBe(0);
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});
