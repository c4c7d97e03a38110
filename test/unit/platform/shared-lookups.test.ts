import type { LookupAddress, LookupOptions } from 'node:dns';
import { expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { SharedLookups } from '../../../src/platform/shared-lookups.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

function resolver() {
  const clock = new FakeClock();
  const asked: { readonly name: string; readonly answer: Answer }[] = [];
  const heard: string[] = [];
  const lookups = new SharedLookups((name, _options, callback) => void asked.push({ name, answer: callback }));
  const ask = (who: string, name: string, options: LookupOptions = { all: true }): void =>
    lookups.ask(clock, name, options, (error, addresses) => {
      const [first] = Array.isArray(addresses) ? addresses : [];
      heard.push(`${who} ${error?.code ?? first?.address}`);
    });
  return { clock, asked, heard, ask };
}

const ADDRESS = [{ address: '192.0.2.1', family: 4 }];

it('asks once for all who want to know the same at the same time, and answers each', () => {
  const { asked, heard, ask } = resolver();
  ask('one', 'mail.test');
  ask('two', 'mail.test');
  ask('three', 'mail.test', { all: true, family: 6 });
  ask('four', 'other.test');
  expect(asked.map(({ name }) => name)).toEqual(['mail.test', 'mail.test', 'other.test']);
  asked[0]?.answer(null, ADDRESS);
  expect(heard).toEqual(['one 192.0.2.1', 'two 192.0.2.1']);
});

it('keeps no answer, and no failure', () => {
  const { asked, heard, ask } = resolver();
  ask('one', 'mail.test');
  asked[0]?.answer(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), []);
  ask('two', 'mail.test');
  asked[1]?.answer(null, ADDRESS);
  expect(heard).toEqual(['one ENOTFOUND', 'two 192.0.2.1']);
});

it('asks anew where a question has been open for a second', async () => {
  const { clock, asked, heard, ask } = resolver();
  ask('one', 'mail.test');
  await clock.advance(seconds(1));
  ask('two', 'mail.test');
  ask('three', 'mail.test');
  expect(asked).toHaveLength(2);
  asked[0]?.answer(null, ADDRESS); // It comes late, and does not end the sharing of the newer one.
  ask('four', 'mail.test');
  expect(asked).toHaveLength(2);
  asked[1]?.answer(null, [{ address: '192.0.2.2', family: 4 }]);
  expect(heard).toEqual(['one 192.0.2.1', 'two 192.0.2.2', 'three 192.0.2.2', 'four 192.0.2.2']);
});
