/**
 * Each step of a request for a token, met by each way in which a network breaks; what is waited for after the fault comes faster: tokens, or a failure that passes
 * and names the endpoint; never an exception, never a verdict on the account, never the refresh token in a text; and the connection ends with its deadline.
 */
import type { AddressInfo } from 'node:net';
import * as tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import type { TokenAnswer } from '../../src/token/token-answer.ts';
import { HttpTokenEndpoint } from '../../src/token/token-endpoint.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { type Fault, FAULTS, FaultProxy } from '../support/fault-proxy.ts';
import { ScaledClock } from '../support/scaled-clock.ts';
import { createTestAuthority } from '../support/test-ca.ts';

/** Speeds of the clock from the fault on: waiting needs no care, but what still works has to have its time, also on a busy machine. */
const SPEEDS: Readonly<Record<Fault, number>> = { reset: 1, close: 1, 'half-open': 1, 'black-hole': 100, stall: 100, drip: 30, delay: 1 };
/** Milliseconds that pass on the wall beyond a deadline: a second, and no more. */
const GRACE = 1_000;
/** Seconds for everything together. */
const LIMIT = 30;
const SEED = 'seed-refresh-token';

const authority = createTestAuthority();
const { certPem, keyPem } = authority.issue({ hosts: ['127.0.0.1'] });

const STEPS = ['connect', 'handshake', 'request', 'header', 'body', 'end'] as const;
type Step = (typeof STEPS)[number];

const BODY = JSON.stringify({ access_token: 'access', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rotated' });
/** What is said before the step that is hit, and after it. */
const PARTS: Readonly<Record<Step, readonly [string, string]>> = (() => {
  const header = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n`;
  const cut = (text: string, at: number): readonly [string, string] => [text.slice(0, at), text.slice(at)];
  const whole = `${header}\r\n${BODY}`;
  return {
    connect: cut(whole, 0),
    handshake: cut(whole, 0),
    request: cut(whole, 0),
    header: cut(whole, 30),
    body: cut(whole, whole.length - 40),
    end: cut(whole, whole.length - 1),
  };
})();

interface Outcome {
  readonly step: Step;
  readonly answer: TokenAnswer | string;
  readonly requests: number;
  /** Milliseconds on the wall from the fault to the end of the connection. */
  readonly took: number | undefined;
}

async function run(step: Step, fault: Fault): Promise<Outcome> {
  let requests = 0;
  const [before, after] = PARTS[step];
  const server = tls.createServer({ cert: certPem, key: keyPem }, (socket) => {
    let request = '';
    socket.on('error', () => undefined);
    socket.on('data', (octets: Buffer) => {
      request += octets.toString();
      if (!request.includes('scope=')) return;
      request = '';
      requests += 1;
      socket.write(before, () => {
        // The part before has to be on its way through the proxy.
        setTimeout(() => {
          if (step !== 'connect' && step !== 'handshake') proxy.strike(fault);
          socket.write(after);
        }, 20);
      });
    });
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const proxy = await FaultProxy.open((server.address() as AddressInfo).port);
  proxy.dripMs = 1_000 / SPEEDS.drip;
  const clock = new ScaledClock();
  proxy.onStrike = () => (clock.speed = SPEEDS[fault]);
  if (step === 'connect') {
    proxy.plan = () => {
      queueMicrotask(() => proxy.strike(fault));
      return undefined;
    };
  }
  if (step === 'handshake') proxy.plan = () => ({ direction: 'up', after: 50, manner: fault });
  const endpoint = new HttpTokenEndpoint({ clock });
  try {
    const provider = testProvider({ tokenUrl: `https://127.0.0.1:${proxy.port}/token`, ca: authority.caPem });
    const answer = await endpoint
      .request({ account: testAccount({ provider }), refreshToken: SEED })
      .catch((error: unknown) => String(error));
    const took = await proxy.connections[0]?.gone('near');
    return { step, answer, requests, took };
  } finally {
    await endpoint.close();
    proxy.close();
    server.close();
  }
}

function faultsOf({ step, answer, requests, took }: Outcome, fault: Fault): string[] {
  const wrong: string[] = [];
  const isGranted = typeof answer !== 'string' && answer.kind === 'granted';
  const limit = (LIMIT * 1_000) / SPEEDS[fault] + GRACE;
  if (took === undefined) wrong.push('was never reached');
  else if (took > limit) wrong.push(`held the connection for ${Math.round(took)} ms of ${limit}`);
  if (!isGranted && (typeof answer === 'string' || answer.kind !== 'unreachable')) wrong.push(`ended with ${JSON.stringify(answer)}`);
  if (!isGranted && !JSON.stringify(answer).includes('127.0.0.1')) wrong.push('does not name the endpoint');
  if (JSON.stringify(answer).includes(SEED)) wrong.push('shows the refresh token');
  if (requests > 1) wrong.push(`was asked ${requests} times`);
  return wrong.map((what) => `${step}: ${what}`);
}

describe('K02 N10 a request for a token', () => {
  it.each(FAULTS)('each of its steps met by %s ends in a known way, in time', { timeout: 60_000 }, async (fault) => {
    const outcomes = await Promise.all(STEPS.map((step) => run(step, fault)));
    expect(outcomes.flatMap((outcome) => faultsOf(outcome, fault))).toEqual([]);
    const granted = outcomes.filter(({ answer }) => typeof answer !== 'string' && answer.kind === 'granted').length;
    if (fault === 'delay') expect(granted).toBe(STEPS.length);
    if (fault === 'reset' || fault === 'black-hole') expect(granted).toBe(0);
  });
});
