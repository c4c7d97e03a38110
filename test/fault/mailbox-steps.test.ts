/**
 * Each step of signing in at an IMAP or POP3 server, met by each way in which a network breaks, with the deadlines of the relay itself; what is
 * waited for after the fault comes faster: there is a session, or a refusal that says what is wrong; no token is given up for it; and the connection ends with its deadline.
 */
import { describe, expect, it } from 'vitest';
import { MailboxError, type MailboxProtocol } from '../../src/core/ports/mailbox.ts';
import { Mailboxes } from '../../src/mailbox/mailboxes.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { type Fault, FAULTS, FaultProxy } from '../support/fault-proxy.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryTokenSource } from '../support/memory-token-source.ts';
import { ScaledClock } from '../support/scaled-clock.ts';
import { imapScript, type LineScript, pop3Script, ScriptedLineServer } from '../support/scripted-line-server.ts';
import { createTestAuthority } from '../support/test-ca.ts';

/** Speeds of the clock from the fault on: waiting needs no care, but what still works has to have its time, also on a busy machine. */
const SPEEDS: Readonly<Record<Fault, number>> = { reset: 1, close: 1, 'half-open': 1, 'black-hole': 100, stall: 100, drip: 30, delay: 1 };
/** Milliseconds that pass on the wall beyond a deadline: a second, and no more. */
const GRACE = 1_000;
/** Seconds for a whole sign-in. */
const LIMIT = 45;

const authority = createTestAuthority();
const certificate = authority.issue({ hosts: ['localhost'] });

interface Way {
  readonly protocol: MailboxProtocol;
  readonly tls: 'implicit' | 'starttls';
  /** Octets that come up in clear before the ClientHello. */
  readonly clear: number;
  /** The command that is hit; `greeting` and what comes before it aside. */
  readonly commands: readonly string[];
}

const WAYS: readonly Way[] = [
  { protocol: 'imap', tls: 'implicit', clear: 0, commands: ['p1 CAPABILITY', 'p2 AUTHENTICATE', 'p3 CAPABILITY'] },
  {
    protocol: 'imap',
    tls: 'starttls',
    clear: 'p1 STARTTLS\r\n'.length,
    commands: ['p1 STARTTLS', 'p2 CAPABILITY', 'p3 AUTHENTICATE', 'p4 CAPABILITY'],
  },
  { protocol: 'pop3', tls: 'implicit', clear: 0, commands: ['CAPA', 'AUTH', ''] },
  { protocol: 'pop3', tls: 'starttls', clear: 'STLS\r\n'.length, commands: ['STLS', 'CAPA', 'AUTH'] },
];

/** The usual script, which tells of each step before it answers. */
function telling({ protocol, tls }: Way, onStep: (step: string) => void): LineScript {
  const usual =
    protocol === 'imap'
      ? imapScript(tls === 'starttls' ? { STARTTLS: 'STARTTLS:T OK begin' } : {})
      : pop3Script(tls === 'starttls' ? { STLS: 'STARTTLS:+OK begin' } : {});
  return {
    get greeting() {
      onStep('greeting');
      return usual.greeting;
    },
    answer(line, count) {
      onStep(line);
      return usual.answer(line, count);
    },
  };
}

interface Outcome {
  readonly step: string;
  readonly outcome: string;
  readonly refreshes: number;
  /** Seconds on the relay's clock from the fault to the end of the connection. */
  readonly took: number | undefined;
}

async function run(way: Way, step: string, fault: Fault): Promise<Outcome> {
  let isHit = false;
  let proxy: FaultProxy | undefined;
  const hitOnce = (): void => {
    if (!isHit) proxy?.strike(fault);
    isHit = true;
  };
  // The empty step of POP3 is the line with the credentials.
  const isStep = (line: string): boolean => (step === '' ? !/^(?:CAPA|AUTH|greeting)/.test(line) : line.startsWith(step));
  const script = (): LineScript => telling(way, (line) => isStep(line) && hitOnce());
  const server = await ScriptedLineServer.start(script, certificate, { isImplicit: way.tls === 'implicit' });
  proxy = await FaultProxy.open(server.port);
  proxy.dripMs = 1_000 / SPEEDS.drip;
  const clock = new ScaledClock();
  let struckAt: number | undefined;
  proxy.onStrike = () => {
    struckAt = clock.monotonic();
    clock.speed = SPEEDS[fault];
  };
  if (step === 'connect') {
    proxy.plan = () => {
      queueMicrotask(hitOnce);
      return undefined;
    };
  }
  if (step === 'handshake') proxy.plan = () => ({ direction: 'up', after: way.clear + 50, manner: fault });
  const provider = testProvider({ [way.protocol]: { host: 'localhost', port: proxy.port, tls: way.tls }, ca: authority.caPem });
  const tokens = new MemoryTokenSource();
  const log = new MemoryLog();
  const mailboxes = new Mailboxes({ accounts: [testAccount({ provider })], tokens, clock, log });
  try {
    const outcome = await mailboxes.open({ protocol: way.protocol, account: 'billing' }).then(
      (mailbox) => {
        mailbox.close();
        return 'open';
      },
      (error: unknown) => (error instanceof MailboxError ? `${error.problem.code}: ${error.problem.cause}` : String(error)),
    );
    const [first] = proxy.connections;
    await first?.gone('near');
    return {
      step,
      outcome,
      refreshes: tokens.refused.length,
      took: struckAt === undefined ? undefined : (clock.monotonic() - struckAt) / 1_000,
    };
  } finally {
    mailboxes.close();
    proxy.close();
    await server.close();
  }
}

const KNOWN = /^(?:open$|UPSTREAM_(?:LOST|TIMEOUT|UNREACHABLE|TLS_FAILED): localhost:\d+|UPSTREAM_TIMEOUT: account billing: )/;

function faultsOf({ step, outcome, refreshes, took }: Outcome, fault: Fault): string[] {
  const wrong: string[] = [];
  if (took === undefined) wrong.push('was never reached');
  else if (took > LIMIT + (GRACE * SPEEDS[fault]) / 1_000) wrong.push(`held the connection for ${Math.round(took)} s of ${LIMIT}`);
  if (!KNOWN.test(outcome)) wrong.push(`ended with ${outcome}`);
  if (refreshes > 0) wrong.push('cost a token');
  return wrong.map((what) => `${step}: ${what}`);
}

describe.each(WAYS)('N10 $protocol, TLS $tls', (way) => {
  it.each(FAULTS)('each step of a sign-in met by %s ends in a known way, in time', { timeout: 60_000 }, async (fault) => {
    const steps = ['connect', 'handshake', 'greeting', ...way.commands];
    const outcomes = await Promise.all(steps.map((step) => run(way, step, fault)));
    expect(outcomes.flatMap((outcome) => faultsOf(outcome, fault))).toEqual([]);
    // A slow network is no broken one: what comes late enough is a refusal, what comes in time a session.
    if (fault === 'delay') expect(outcomes.filter(({ outcome }) => outcome === 'open').length).toBeGreaterThan(2);
    if (fault === 'reset') expect(outcomes.filter(({ outcome }) => outcome === 'open')).toEqual([]);
  });
});
