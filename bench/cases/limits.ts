/**
 * What the provider counts: messages in flight for one mailbox, and requests for tokens.
 */
import { type BenchCase, inTurns, withSystems } from '../kit/case.ts';
import { type Measured, verdict } from '../kit/figures.ts';
import { runLoad } from '../kit/load.ts';
import { MAILBOX, startPlainRelay, startPostern, type System } from '../kit/systems.ts';
import { BenchUpstream } from '../kit/upstream.ts';

const SERVICE_MS = 100;
const CAP = 3;
const MESSAGES = 200;
const TOKEN_DELAY_MS = 100;

/** A relay that does not know of the cap opens as many connections as it has messages. */
export const cap: BenchCase = {
  name: 'cap',
  summary: `the provider takes ${CAP} messages at a time, ${SERVICE_MS} ms each, and refuses a fourth; 32 clients`,
  async run(rounds) {
    const upstream = await BenchUpstream.start({ service: SERVICE_MS, cap: CAP });
    try {
      const starts: (() => Promise<System>)[] = [
        () => startPostern({ upstream, delivery: 'direct', connections: CAP }),
        () => startPostern({ upstream, delivery: 'auto', connections: CAP }),
        () => startPlainRelay(upstream, 32),
      ];
      await withSystems(starts, async (systems) => {
        const figures = await inTurns(systems, rounds, (system, isWarmUp) => measureCap(upstream, system, isWarmUp ? 20 : MESSAGES));
        figures.print();
        verdict('share of the physical rate (auto), %', figures.of('postern auto', 'share %'), { atLeast: 95 });
        verdict('refusals that applications saw (auto)', figures.of('postern auto', 'refused'), { atMost: 0 });
      });
    } finally {
      await upstream.stop();
    }
  },
};

async function measureCap(upstream: BenchUpstream, system: System, messages: number): Promise<Measured> {
  await upstream.reset();
  const outcome = await runLoad({
    port: system.port,
    connections: 32,
    milliseconds: 60_000,
    messages,
    octets: 2048,
    keepsConnection: true,
    from: MAILBOX,
    to: 'to@bench.test',
    mayBeRefused: true,
  });
  await upstream.settle(outcome);
  await upstream.audit(outcome);
  const physical = CAP / (SERVICE_MS / 1000);
  const count = outcome.acknowledged.length;
  return { 'share %': ((count / outcome.seconds) * 100) / physical, accepted: count, refused: outcome.refusals.length };
}

export const tokens: BenchCase = {
  name: 'tokens',
  summary: `a token endpoint that takes ${TOKEN_DELAY_MS} ms, and 64 clients that need a token at once`,
  async run(rounds) {
    const upstream = await BenchUpstream.start({ tokenDelay: TOKEN_DELAY_MS });
    try {
      // A relay that has just started has no token: the first messages of 64 clients come at the same moment.
      const subjects = [{ name: 'postern direct' }];
      const figures = await inTurns(subjects, rounds, () => measureTokens(upstream));
      figures.print();
      verdict('token requests for one credential and expiry', figures.of('postern direct', 'token requests'), { atMost: 1 });
    } finally {
      await upstream.stop();
    }
  },
};

async function measureTokens(upstream: BenchUpstream): Promise<Measured> {
  const system = await startPostern({ upstream, delivery: 'direct', connections: 20 });
  try {
    await upstream.reset();
    const load = { port: system.port, connections: 64, octets: 2048, keepsConnection: false, from: MAILBOX, to: 'to@bench.test' };
    const outcome = await runLoad({ ...load, milliseconds: 60_000, messages: 256 });
    await upstream.settle(outcome);
    await upstream.audit(outcome);
    const { tokenRequests, sessions } = await upstream.counts();
    return { 'token requests': tokenRequests, 'upstream sessions': sessions };
  } finally {
    await system.stop();
  }
}
