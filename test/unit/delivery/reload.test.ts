/** A configuration that changes while mail is on its way. */
import { expect, it } from 'vitest';
import { days, hours, minutes, seconds } from '../../../src/core/clock.ts';
import { testAccount } from '../../support/accounts.ts';
import { Latch } from '../../support/latch.ts';
import { failsAt, takesAll } from '../../support/scripted-upstream.ts';
import { DEFAULTS, Lab } from './lab.ts';

const billing = testAccount({ delivery: 'queue' });
const sales = testAccount({ name: 'sales', mailbox: 'sales@postern.test', delivery: 'queue' });

it('an account that is added submits at once, and what waited for it in the queue goes', async () => {
  const before = await Lab.open({ accounts: [billing, sales], isIdle: true });
  await before.submitted({ account: 'sales', to: ['old@x.test'] });
  const lab = await Lab.open({ accounts: [billing], spool: before.spool, clock: before.clock });
  await lab.clock.advance(minutes(1));
  expect(lab.recipients).toEqual([]);
  expect(lab.log.of('queue-orphaned')).toMatchObject([{ account: 'sales' }]);
  await lab.delivery.update([billing, sales], DEFAULTS);
  await lab.submitted({ account: 'sales', to: ['new@x.test'] });
  await lab.clock.advance(minutes(1));
  expect(lab.recipients.toSorted()).toEqual(['new@x.test', 'old@x.test']);
});

it('an account that is removed keeps its mail, and delivers it when it comes back', async () => {
  const lab = await Lab.open({ accounts: [billing, sales] });
  const gate = new Latch();
  lab.upstream.script = async (call) => {
    await gate.passed;
    return takesAll(call);
  };
  await lab.submitted({ account: 'sales', to: ['underway@x.test'] });
  await lab.clock.advance(seconds(5));
  await lab.delivery.update([billing], DEFAULTS);
  gate.open();
  await lab.clock.advance(minutes(1));
  expect(lab.recipients).toEqual(['underway@x.test']);
  expect(lab.delivery.stateOf('sales')).toBeUndefined();
  await lab.delivery.update([billing, sales], DEFAULTS);
  await lab.submitted({ account: 'sales', to: ['later@x.test'] });
  await lab.clock.advance(minutes(1));
  expect(lab.recipients).toEqual(['underway@x.test', 'later@x.test']);
});

it('an account that waits for repair is tried again once its settings have changed', async () => {
  const lab = await Lab.open({ accounts: [billing] });
  lab.upstream.script = failsAt('token', 'TOKEN_REAUTH_REQUIRED');
  await lab.submitted({ to: ['held@x.test'] });
  await lab.clock.advance(minutes(1));
  expect(lab.delivery.stateOf('billing')?.kind).toBe('held');
  lab.upstream.script = takesAll;
  await lab.delivery.update([{ ...billing, auth: { ...billing.auth, refreshToken: 'new' } as typeof billing.auth }], DEFAULTS);
  await lab.clock.advance(minutes(1));
  expect(lab.recipients).toEqual(['held@x.test']);
});

it('an account that has not changed is left alone', async () => {
  const lab = await Lab.open({ accounts: [billing] });
  lab.upstream.script = failsAt('token', 'TOKEN_REAUTH_REQUIRED');
  await lab.submitted({ to: ['held@x.test'] });
  await lab.clock.advance(minutes(1));
  const tries = lab.upstream.calls.length;
  await lab.delivery.update([structuredClone(billing)], DEFAULTS);
  await lab.clock.advance(seconds(20));
  expect(lab.upstream.calls).toHaveLength(tries);
});

it('another mode holds for the next message', async () => {
  const lab = await Lab.open({ accounts: [billing] });
  expect(await lab.submitted()).toMatch(/^250 .*queued/i);
  await lab.delivery.update([{ ...billing, delivery: 'auto' }], DEFAULTS);
  lab.upstream.script = failsAt('connect', 'UPSTREAM_UNREACHABLE');
  await lab.delivery.update([{ ...billing, delivery: 'auto' }], { ...DEFAULTS, giveUpAfter: hours(1) });
  await lab.submitted({ to: ['hopeless@x.test'] });
  await lab.clock.advance(hours(3));
  // Given up after the new limit: what is left is the report to the sender.
  expect(
    (await lab.entries()).filter(({ recipients }) => recipients.some(({ forwardPath }) => forwardPath.address === 'hopeless@x.test')),
  ).toEqual([]);
  expect(DEFAULTS.giveUpAfter).toBe(days(5));
});
