/**
 * One trial sign-in at an account's submission server, as far as MAIL; for `postern doctor`. Nothing is submitted: MAIL is followed by RSET.
 *
 * It is the way that every message goes ({@link ./sign-in.ts}), so what it says is true of messages, too: a refused token is replaced once, a draining
 * server is left for another one. Which step failed is read from the stage of the error; facts are read from the dialogue as it is traced.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import type { Log, LogFields } from '../core/ports/log.ts';
import type { ProbeReport, ProbeStep } from '../core/ports/mail-probe.ts';
import { UpstreamError, type UpstreamStage } from '../core/ports/upstream.ts';
import { type Problem, problem } from '../core/problem.ts';
import { describeReply, isAccepted } from '../core/reply.ts';
import { classifyReply } from './reply-table.ts';
import { type SignInDependencies, signIn } from './sign-in.ts';
import { openSession, type SmtpSession } from './smtp-session.ts';

/** How far to go: `connect` stops before AUTH, for when there is no token to try. */
export type ProbeDepth = 'connect' | 'sign-in';

const STEPS: readonly ProbeStep[] = ['connect', 'tls', 'mechanism', 'auth', 'access'];

const STEP_OF: Readonly<Record<UpstreamStage, ProbeStep>> = {
  wait: 'connect',
  connect: 'connect',
  greeting: 'connect',
  ehlo: 'connect',
  starttls: 'tls',
  token: 'auth',
  auth: 'auth',
  mail: 'access',
  rcpt: 'access',
  data: 'access',
  content: 'access',
  'final-reply': 'access',
};

/** Try it. Never throws for what a network, server or token source can do. */
export async function probeSubmission(account: Account, deps: SignInDependencies, depth: ProbeDepth): Promise<ProbeReport> {
  const heard = new Heard(deps.log);
  let session: SmtpSession | undefined;
  try {
    session = await open(account, { ...deps, log: heard }, depth);
    if (depth === 'connect')
      return session.offers(account.provider.mechanism) ? passedBefore('auth', account, heard) : withoutMechanism(account, heard);
    const reply = await session.mail(account.mailbox, { isSmtpUtf8: false, isRequireTls: false });
    if (!isAccepted(reply)) return failedAt('access', classifyReply('mail', reply).problem, account, heard);
    session.reset();
    const { passed } = passedBefore(undefined, account, heard);
    return { passed: { ...passed, access: `MAIL FROM:<${account.mailbox}> answered with ${describeReply(reply)}; nothing was sent` } };
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    return failedAt(stepOf(error), error.problem, account, heard);
  } finally {
    await session?.quit();
  }
}

async function open(account: Account, deps: SignInDependencies, depth: ProbeDepth): Promise<SmtpSession> {
  if (depth === 'sign-in') return (await signIn(account, deps)).session;
  return openSession({ ...deps, endpoint: account.provider.smtp, ca: account.provider.ca, account: account.name });
}

function stepOf({ stage, problem: { code } }: UpstreamError): ProbeStep {
  if (code === 'UPSTREAM_TLS_FAILED') return 'tls'; // With implicit TLS it is part of connecting.
  return code === 'UPSTREAM_XOAUTH2_MISSING' ? 'mechanism' : STEP_OF[stage];
}

function withoutMechanism(account: Account, heard: Heard): ProbeReport {
  const { mechanism, smtp } = account.provider;
  const offered = heard.mechanisms === '' ? 'no AUTH at all' : `AUTH ${heard.mechanisms}`;
  const cause = `${smtp.host}:${smtp.port} does not offer AUTH ${mechanism}; it offers ${offered}`;
  return failedAt('mechanism', problem('UPSTREAM_XOAUTH2_MISSING', cause), account, heard);
}

function failedAt(step: ProbeStep, what: Problem, account: Account, heard: Heard): ProbeReport {
  return { ...passedBefore(step, account, heard), failed: { step, problem: what } };
}

/** Steps are taken in order, so those before the one that failed have passed. A token that was not to be had says nothing about them. */
function passedBefore(end: ProbeStep | undefined, account: Account, heard: Heard): ProbeReport {
  const { smtp } = account.provider;
  const secured = smtp.tls === 'implicit' ? 'implicit TLS' : 'STARTTLS';
  const facts: Record<ProbeStep, string> = {
    connect: `${smtp.host}:${smtp.port} greets with ${heard.greeting}`,
    tls: `${secured}, certificate verified for ${smtp.host}`,
    mechanism: `offers AUTH ${heard.mechanisms}`,
    auth: `signed in as ${account.smtpUser}${heard.wasTokenReplaced ? '; the stored token was refused, a fresh one was accepted' : ''}`,
    access: '',
  };
  const passed = heard.greeting === '' ? [] : STEPS.slice(0, end === undefined ? -1 : STEPS.indexOf(end));
  return { passed: Object.fromEntries(passed.map((step) => [step, facts[step]])) };
}

/** Listens in on the session's own, redacted trace. */
class Heard implements Log {
  greeting = '';
  /** Of the last EHLO, separated by blanks. */
  mechanisms = '';
  wasTokenReplaced = false;
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  trace(fields: LogFields, message: string): void {
    if (message.startsWith('S: ')) this.#hear(fields.stage, message.slice(3));
    this.#log.trace(fields, message);
  }

  debug(fields: LogFields, message: string): void {
    if (fields.event === 'upstream-auth-refused' && !/ 421 /.test(` ${fields.reply ?? ''} `)) this.wasTokenReplaced = true;
    this.#log.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#log.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#log.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#log.error(fields, message);
  }

  #hear(stage: string | undefined, reply: string): void {
    if (stage === 'greeting') this.greeting = reply.slice(0, 120);
    if (stage === 'ehlo') this.mechanisms = /\/ AUTH[ =]([A-Z0-9 _-]+)/i.exec(reply)?.[1]?.trim() ?? '';
  }
}
