/**
 * Keeps the record of a trial sign-in, and what both protocols need for one.
 *
 * @packageDocumentation
 */
import type { Provider } from '../core/account.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { ProbeReport, ProbeStep } from '../core/ports/mail-probe.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { Dial } from '../platform/dial.ts';
import { LineConnection, type LineServer } from '../platform/line-connection.ts';

/** A trial at an IMAP or POP3 server. */
export interface LineProbe extends LineServer {
  readonly mechanism: Provider['mechanism'];
  readonly user: string;
  /** Undefined: stop before AUTHENTICATE. */
  readonly accessToken: string | undefined;
  readonly dial: Dial;
  readonly clock: Clock;
}

/** Where a trial is, and what it has passed. */
export class ProbeWalk {
  readonly passed: Partial<Record<ProbeStep, string>> = {};
  /** The step that a failure now belongs to. */
  at: ProbeStep = 'connect';

  pass(step: ProbeStep, detail: string, next: ProbeStep): void {
    this.passed[step] = detail;
    this.at = next;
  }
}

/** Connect, and walk; whatever ends the walk is in the report. */
export async function walkProbe(
  probe: LineProbe,
  walk: (connection: LineConnection, record: ProbeWalk) => Promise<void>,
): Promise<ProbeReport> {
  const record = new ProbeWalk();
  let connection: LineConnection | undefined;
  try {
    connection = await LineConnection.open(probe, probe.dial, probe.clock);
    await walk(connection, record);
    return { passed: record.passed };
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const step = error.problem.code === 'UPSTREAM_TLS_FAILED' ? 'tls' : record.at;
    return { passed: record.passed, failed: { step, problem: error.problem } };
  } finally {
    connection?.close();
  }
}

/** The server does not offer the mechanism. The token was not sent. */
export function withoutMechanism(target: string, mechanism: string, offered: readonly string[]): ProblemError {
  const others = offered.length === 0 ? 'none' : offered.join(' ');
  const remedy = 'Check host and port of the provider: another service, or a proxy that speaks for it, may answer there.';
  return new ProblemError(problem('UPSTREAM_XOAUTH2_MISSING', `${target} does not offer ${mechanism}; it offers ${others}`, { remedy }));
}
