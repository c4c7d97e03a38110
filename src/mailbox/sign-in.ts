/**
 * From an account to a session at its IMAP or POP3 server that has signed in.
 *
 * A token may have been revoked, so a refusal that another one can cure is answered with exactly one forced refresh and one more try, on a new
 * connection. A refusal that no token cures (the mailbox does not open, the server asks for patience, it says goodbye) costs no refresh. What an upstream
 * refuses as a password is not shown to it again ({@link ../policy/password-guard.ts}).
 *
 * @packageDocumentation
 */
import type { Account, Endpoint } from '../core/account.ts';
import { between, type EpochMs, minutes } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { MailboxError, type MailboxProtocol } from '../core/ports/mailbox.ts';
import type { AccessToken, TokenSource } from '../core/ports/token-source.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { ReplyMeaning } from '../core/reply-meaning.ts';
import type { Dial } from '../platform/dial.ts';
import { LineConnection } from '../platform/line-connection.ts';
import type { PasswordGuard } from '../policy/password-guard.ts';
import { SaslStringError } from '../sasl/bearer.ts';
import { signInToImap } from './imap-session.ts';
import { signInToPop3 } from './pop3-session.ts';
import { type MailboxCredentials, refusedWith, type SignedIn, type SignInOutcome, targetOf } from './server-session.ts';

/** What signing in needs. */
export interface SignInDependencies {
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly dial: Dial;
  readonly passwords: PasswordGuard;
}

/** A session, and how long its token lives. */
export interface SignedInMailbox extends SignedIn {
  readonly upstream: string;
  readonly user: string;
  readonly tokenExpiresAt?: EpochMs;
}

/**
 * Connect and sign in.
 *
 * @throws MailboxError
 */
export async function signInToMailbox(
  account: Account,
  protocol: MailboxProtocol,
  deps: SignInDependencies,
  signal: AbortSignal,
): Promise<SignedInMailbox> {
  const attempt = new Attempt(account, protocol, deps, signal);
  try {
    return account.auth.grant === 'basic'
      ? await withPassword(account, account.auth.password, attempt, deps)
      : await withToken(account, attempt, deps);
  } catch (error) {
    if (error instanceof MailboxError) throw error;
    if (error instanceof ProblemError) throw new MailboxError(error.problem, { cause: error });
    throw error;
  }
}

async function withToken(account: Account, attempt: Attempt, { tokens }: SignInDependencies): Promise<SignedInMailbox> {
  const { mailbox: user, name, provider } = account;
  const present = ({ value: accessToken }: AccessToken) => attempt.once({ mechanism: provider.mechanism, user, accessToken });
  const token = await tokens.accessToken(name);
  const first = await present(token);
  if (first.kind === 'signed-in') return { ...attempt.done(first.session), tokenExpiresAt: token.expiresAt };
  if (first.meaning.verdict !== 'auth') throw refusedWith(first.meaning);

  const fresh = await tokens.replaceRefused(name, token);
  const second = await present(fresh);
  if (second.kind === 'signed-in') return { ...attempt.done(second.session), tokenExpiresAt: fresh.expiresAt };
  throw second.meaning.verdict === 'auth' ? refusedTwice(account, second.meaning) : refusedWith(second.meaning);
}

const REMEDY =
  'Check accounts[].mailbox, and that the token has the scope of the protocol (IMAP.AccessAsUser.All, POP.AccessAsUser.All, or the application permission): postern doctor ACCOUNT.';

function refusedTwice({ mailbox }: Account, { problem: { cause }, row }: ReplyMeaning): MailboxError {
  const what = problem('UPSTREAM_AUTH_REFUSED', `${mailbox} was refused with a fresh token too: ${cause}`, { remedy: REMEDY });
  return new MailboxError(what, { row });
}

/** A policy or a fault of the provider may be behind a refusal that does not name the password; so long it is left alone. */
const PAUSE = minutes(15);

async function withPassword(
  account: Account,
  password: string,
  attempt: Attempt,
  { passwords }: SignInDependencies,
): Promise<SignedInMailbox> {
  const signIn = async (): Promise<SignedInMailbox> => {
    const outcome = await attempt.once({ mechanism: 'password', user: account.mailbox, password });
    if (outcome.kind === 'signed-in') return attempt.done(outcome.session);
    const { verdict, problem: what, row } = outcome.meaning;
    if (verdict === 'transient') throw refusedWith(outcome.meaning);
    const refused = verdict === 'auth' ? problem('UPSTREAM_PASSWORD_REFUSED', what.cause) : what;
    passwords.note(account, refused, verdict === 'auth' ? undefined : PAUSE);
    throw new MailboxError(refused, { row });
  };
  return passwords.run(account, signIn, (what) => new MailboxError(what));
}

class Attempt {
  readonly #account: Account;
  readonly #protocol: MailboxProtocol;
  readonly #endpoint: Endpoint;
  readonly #deps: SignInDependencies;
  readonly #signal: AbortSignal;
  readonly #begun;

  constructor(account: Account, protocol: MailboxProtocol, deps: SignInDependencies, signal: AbortSignal) {
    const endpoint = account.provider[protocol];
    if (endpoint === undefined) throw new MailboxError(withoutServer(account, protocol));
    this.#account = account;
    this.#protocol = protocol;
    this.#endpoint = endpoint;
    this.#deps = deps;
    this.#signal = signal;
    this.#begun = deps.clock.monotonic();
  }

  /** On a connection of its own. */
  async once(credentials: MailboxCredentials): Promise<SignInOutcome> {
    const { dial, clock } = this.#deps;
    const server = { endpoint: this.#endpoint, ca: this.#account.provider.ca, protocol: this.#protocol };
    const connection = await LineConnection.open(server, dial, clock, this.#signal);
    let outcome: SignInOutcome | undefined;
    try {
      outcome = await (this.#protocol === 'imap' ? signInToImap : signInToPop3)(connection, this.#endpoint, credentials);
    } catch (error) {
      if (error instanceof SaslStringError)
        throw new MailboxError(problem('CONFIG_INVALID', `${error.message}; it was not sent`), { cause: error });
      throw error;
    } finally {
      if (outcome?.kind !== 'signed-in') connection.close();
    }
    if (outcome.kind === 'refused') this.#noteRefusal(outcome.meaning);
    return outcome;
  }

  done(session: SignedIn): SignedInMailbox {
    const { clock, log } = this.#deps;
    const { name, mailbox: user, provider, auth } = this.#account;
    const upstream = targetOf(this.#endpoint);
    const mechanism = auth.grant === 'basic' ? 'password' : provider.mechanism;
    const durationMs = between(this.#begun, clock.monotonic());
    const fields = { account: name, upstream, user, mechanism, protocol: this.#protocol, durationMs };
    log.debug({ event: 'mailbox-signed-in', ...fields }, `signed in upstream with ${this.#protocol.toUpperCase()}`);
    return { ...session, upstream, user };
  }

  #noteRefusal({ row, problem: what }: ReplyMeaning): void {
    const { name: account, mailbox: user } = this.#account;
    const fields = { account, user, upstream: targetOf(this.#endpoint), protocol: this.#protocol, stage: 'auth' };
    this.#deps.log.debug({ event: 'mailbox-sign-in-refused', ...fields, reply: what.cause }, `sign-in refused: ${row}`);
  }
}

function withoutServer({ provider }: Account, protocol: MailboxProtocol) {
  const cause = `provider ${provider.name} has no ${protocol.toUpperCase()} server`;
  return problem('UPSTREAM_MISCONFIGURED', cause, { remedy: `Name it in the configuration: providers.NAME.${protocol}.` });
}
