/**
 * An examination without machine or network: everything handed in is made up, and good unless a test changes it.
 *
 * @packageDocumentation
 */
import type { Account } from '../../src/core/account.ts';
import { hours, plus } from '../../src/core/clock.ts';
import type { StoredGrant } from '../../src/core/ports/token-store.ts';
import type { Check, CheckName, Finding } from '../../src/doctor/check.ts';
import { CHECKS } from '../../src/doctor/checks.ts';
import { Examination, type Surroundings, type TokenBench } from '../../src/doctor/examination.ts';
import { DialError } from '../../src/platform/dial-error.ts';
import { testAccount } from './accounts.ts';
import { FakeClock } from './fake-clock.ts';
import { MemoryTokenSource } from './memory-token-source.ts';

export interface BenchChanges {
  readonly token?: string;
  readonly stored?: StoredGrant | undefined;
  /** Of the token; now unless told. */
  readonly obtainedAt?: number;
}

/** A token source with a store behind it. */
export function testBench(clock: FakeClock, changes: BenchChanges = {}): TokenBench & { readonly source: MemoryTokenSource } {
  const source = new MemoryTokenSource(changes.token ?? 'opaque-token', plus(clock.now(), hours(1)));
  const grant = { refreshToken: 'stored-refresh-token', generation: 3, savedAt: clock.now() };
  const obtainedAt = (changes.obtainedAt ?? clock.now()) as ReturnType<FakeClock['now']>;
  return {
    source,
    accessToken: () => source.accessToken(),
    replaceRefused: (account, refused) => source.replaceRefused(account, refused),
    obtainedAt: () => obtainedAt,
    stored: () => Promise.resolve('stored' in changes ? changes.stored : grant),
  };
}

export interface TestExamination {
  readonly examination: Examination;
  readonly clock: FakeClock;
}

export function testExamination(changes: Partial<Surroundings> & { readonly clock?: FakeClock } = {}): TestExamination {
  const clock = changes.clock ?? new FakeClock();
  const account: Account = changes.account ?? testAccount();
  const surroundings: Surroundings = {
    account,
    configNotices: [],
    secretNotices: [],
    secrets: () => Promise.resolve([]),
    senders: [account.mailbox],
    needed: new Set(['smtp']),
    inspectState: () => Promise.resolve({ place: '/var/lib/postern', faults: [] }),
    openTokens: () => Promise.resolve(testBench(clock)),
    probeSmtp: () =>
      Promise.resolve({ passed: { connect: 'connects', tls: 'TLS', mechanism: 'offers', auth: 'signed in', access: 'taken' } }),
    dial: ({ host }) => Promise.reject(new DialError('refused', `${host}: connection refused`)),
    ...changes,
    clock,
  };
  return { examination: new Examination(surroundings), clock };
}

export function findCheck(name: CheckName): Check {
  const check = CHECKS.find((candidate) => candidate.name === name);
  if (check === undefined) throw new Error(`no check ${name}`);
  return check;
}

export async function runCheck(name: CheckName, examination: Examination): Promise<Finding> {
  return findCheck(name).run(examination);
}

/** A JWT with these claims, signed by nobody. */
export function jwt(claims: object): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ typ: 'JWT', alg: 'RS256' })}.${encode(claims)}.c2lnbmF0dXJl`;
}
