/**
 * How far one trial sign-in at a mail server came. Nothing is submitted, fetched or changed by a trial.
 *
 * Implementations: upstream/probe.ts; doctor/imap-probe.ts, doctor/pop3-probe.ts.
 *
 * @packageDocumentation
 */
import type { Problem } from '../problem.ts';

/**
 * In this order, except that with implicit TLS the greeting (`connect`) comes after `tls`. `mechanism`: the server offers the one we use. `access`: what
 * the sign-in is for: the reverse-path is taken (SMTP), the mailbox opens (IMAP, POP3).
 */
export type ProbeStep = 'connect' | 'tls' | 'mechanism' | 'auth' | 'access';

/** What was seen. A step that is in neither field was not tried. */
export interface ProbeReport {
  /** Each step passed, with one line of facts. */
  readonly passed: Readonly<Partial<Record<ProbeStep, string>>>;
  /** The step that ended the trial. */
  readonly failed?: { readonly step: ProbeStep; readonly problem: Problem };
}
