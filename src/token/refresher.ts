/**
 * One try to get an access token: from the store where a living one is kept, else from the token endpoint; and whatever comes back is kept
 * before it is used. From loading a refresh token to keeping its successor no other process may use it (`TokenStore.exclusively`).
 *
 * A provider that rotates refresh tokens may kill the old one with its answer. So a new one is durable before the access token that came with it is
 * handed out. Where saving fails, the new one stays in memory as overdue: each later try first saves it, and until that has succeeded nothing is
 * asked and no new token handed out.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { between, type EpochMs, plus } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log, Redactor } from '../core/ports/log.ts';
import type { Random } from '../core/ports/random.ts';
import type { StoredGrant, TokenStore } from '../core/ports/token-store.ts';
import { problem } from '../core/problem.ts';
import { needsRefreshToken } from './grants/grants.ts';
import { type RefreshLine, resumeLine, rotateLine, settingsDigest } from './refresh-line.ts';
import type { GrantedTokens, TokenEndpoint } from './token-answer.ts';
import { type HeldToken, holdToken, isLiving, type Moment, type Verdict } from './token-state.ts';
import { verdictOn, verdictOnError } from './verdict.ts';

/** What getting tokens needs. */
export interface TokenDependencies {
  readonly store: TokenStore;
  readonly endpoint: TokenEndpoint;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly redactor: Redactor;
}

/** A try as its account sees it. */
export interface Attempt {
  /** As it was when the try began. */
  readonly account: Account;
  /** The generation it began with. */
  readonly generation: number;
  /** Send the refresh token before the newest, which the provider has refused. */
  readonly usesPrevious: boolean;
  /** Stored access tokens that are older are not used. */
  readonly restoresSince: EpochMs;
  /** False once the account or a secret of it has changed: the access token must not be used. */
  isCurrent(): boolean;
  /** True where `line` is the one to go on with by the present configuration. */
  isWanted(line: RefreshLine, stored: StoredGrant | undefined): boolean;
  /** False where another seed was configured and its line is stored: `line` must not bury that. */
  mayKeep(line: RefreshLine, stored: StoredGrant | undefined): boolean;
  /** The generation of a token obtained now, newer than all before. */
  nextGeneration(stored: number): number;
}

/** How a try ended. */
export type Outcome =
  | { readonly kind: 'obtained'; readonly held: HeldToken; readonly isRestored: boolean }
  | { readonly kind: 'failed'; readonly verdict: Verdict }
  /** Overtaken by a change of the account. */
  | { readonly kind: 'outdated' };

/** A grant that the store has yet to take. */
interface Overdue {
  readonly account: Account;
  readonly grant: StoredGrant;
  /** Generation of the stored grant that it is to replace. */
  readonly replaces: number | undefined;
  readonly held?: HeldToken;
}

/** What an answer makes of the stored grant. */
interface Next {
  readonly line: RefreshLine;
  readonly generation: number;
  /** Generation of the stored grant; undefined where there is none. */
  readonly replaces: number | undefined;
}

const OUTDATED: Outcome = { kind: 'outdated' };

/** Serves one account. */
export class Refresher {
  readonly #deps: TokenDependencies;
  #overdue: Overdue | undefined;
  /** What the store held when we last looked or wrote; under the lock, what it holds. */
  #seen: StoredGrant | undefined;
  /** Of what was found to be no news. */
  #oldMark: string | undefined;
  /** Generation of what we stored last. */
  #written: number | undefined;
  /** Writes of one account come one after another, so that an older one cannot land last. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(deps: TokenDependencies) {
    this.#deps = deps;
  }

  /** Tries of one line must not overlap: a refresh token that is sent twice may count as stolen. Never rejects. */
  async run(attempt: Attempt): Promise<Outcome> {
    const { name } = attempt.account;
    try {
      // Looking needs no lock: a start with a living token is as good on a full disk.
      const restored = this.#overdue === undefined ? this.#restore(attempt, await this.#load(attempt.account)) : undefined;
      if (restored !== undefined) return { kind: 'obtained', held: restored, isRestored: true };
      return await this.#deps.store.exclusively(name, async () => this.#renew(attempt));
    } catch (error) {
      return { kind: 'failed', verdict: verdictOnError(error) };
    }
  }

  /**
   * Whether the store holds another grant than when this account last looked: another process has put it there. Cheap while nothing changes.
   * Never rejects.
   *
   * @param isWell - There is no trouble to end: a grant that was obtained with other settings is then left to the next refresh, lest two
   * processes which differ in them outdo each other for ever.
   */
  async hasNews(account: Account, isWell: boolean): Promise<boolean> {
    const { store } = this.#deps;
    const mark = await store.markOf(account.name);
    if (mark === undefined || mark === this.#oldMark) return false;
    try {
      const stored = await store.load(account.name);
      const isNew = stored !== undefined && stored.generation !== this.#seen?.generation;
      if (isNew && !(isWell && isForOthers(account, stored))) return true;
      this.#oldMark = mark;
      return false;
    } catch {
      return false; // Looked at in passing: the next try meets the same trouble and reports it.
    }
  }

  async #renew(attempt: Attempt): Promise<Outcome> {
    const overdue = await this.#saveOverdue(attempt);
    if (overdue !== undefined) return { kind: 'obtained', held: overdue, isRestored: false };
    if (!attempt.isCurrent()) return OUTDATED; // The account changed while another process had the lock.
    const stored = await this.#load(attempt.account);
    const restored = this.#restore(attempt, stored);
    if (restored !== undefined) return { kind: 'obtained', held: restored, isRestored: true };
    return this.#ask(attempt, stored);
  }

  /** @returns The access token that came with the overdue grant, where it can still be used. */
  async #saveOverdue(attempt: Attempt): Promise<HeldToken | undefined> {
    const overdue = this.#overdue;
    if (overdue === undefined) return undefined;
    const isKept = !(await this.#isOvertaken(overdue)) && (await this.#write(attempt, overdue.grant));
    if (this.#overdue === overdue) this.#overdue = undefined; // Else a try of another line has failed meanwhile.
    const isUsable = isKept && overdue.grant.accessToken?.settingsDigest === settingsDigest(attempt.account);
    return isUsable && isLiving(overdue.held, this.#now()) ? overdue.held : undefined;
  }

  /** True where another process has stored something since: the line goes on from there. */
  async #isOvertaken({ account, grant, replaces }: Overdue): Promise<boolean> {
    const stored = await this.#load(account);
    // Not another's: a save of ours that failed in its last step only, or one of a line that has ended since.
    const isOurs = stored?.refreshToken === grant.refreshToken || stored?.generation === this.#written;
    return stored?.generation !== replaces && !isOurs;
  }

  async #load(account: Account): Promise<StoredGrant | undefined> {
    const stored = await this.#deps.store.load(account.name);
    this.#seen = stored;
    for (const secret of [stored?.refreshToken, stored?.previousRefreshToken, stored?.accessToken?.value]) this.#redact(secret);
    return stored;
  }

  /** A stored access token that is newer than all this account has had, and for the same settings: after a restart, or another process's work. */
  #restore(attempt: Attempt, stored: StoredGrant | undefined): HeldToken | undefined {
    const now = this.#now();
    if (stored?.accessToken === undefined || stored.generation <= attempt.generation) return undefined;
    if (stored.savedAt < attempt.restoresSince) return undefined;
    if (stored.accessToken.settingsDigest !== settingsDigest(attempt.account)) return undefined;
    if (stored.savedAt > now.wall) return undefined; // The clock was set back since: nobody knows how long the token lives.
    const { value, expiresAt } = stored.accessToken;
    const token = { value, expiresAt, generation: stored.generation };
    const held = holdToken(token, now, between(now.wall, expiresAt), this.#deps.random.fraction());
    return isLiving(held, now) ? { ...held, obtainedAt: stored.savedAt } : undefined;
  }

  async #ask(attempt: Attempt, stored: StoredGrant | undefined): Promise<Outcome> {
    const { account } = attempt;
    const line = resumeLine(account.auth, stored);
    const used = needsRefreshToken(account.auth) ? choose(line, attempt.usesPrevious) : undefined;
    if (used === undefined && needsRefreshToken(account.auth)) {
      return { kind: 'failed', verdict: { kind: 'refused', problem: problem('TOKEN_MISSING') } };
    }
    const since = this.#now();
    const answer = await this.#deps.endpoint.request({ account, ...(used === undefined ? {} : { refreshToken: used }) });
    const returned = 'refreshToken' in answer ? answer.refreshToken : undefined;
    this.#redact(used);
    this.#redact(returned);
    const next: Next = {
      line: rotateLine(line, used, returned, this.#now().wall),
      generation: attempt.nextGeneration(stored?.generation ?? 0),
      replaces: stored?.generation,
    };
    if (answer.kind === 'granted') return this.#keep(attempt, next, since, answer);
    if (returned !== undefined) await this.#keepLine(attempt, next);
    return { kind: 'failed', verdict: verdictOn(answer) };
  }

  async #keep(attempt: Attempt, next: Next, since: Moment, answer: GrantedTokens): Promise<Outcome> {
    const { line, generation, replaces } = next;
    this.#redact(answer.accessToken);
    if (!attempt.isCurrent()) {
      // Obtained with settings that are no more; but the refresh token is the newest of the line all the same.
      if (answer.refreshToken !== undefined) await this.#keepLine(attempt, next);
      return OUTDATED;
    }
    const token = { value: answer.accessToken, expiresAt: plus(since.wall, answer.expiresIn), generation };
    const held = holdToken(token, since, answer.expiresIn, this.#deps.random.fraction());
    const accessToken = { value: token.value, expiresAt: token.expiresAt, settingsDigest: settingsDigest(attempt.account) };
    const grant: StoredGrant = { ...line, accessToken, generation, savedAt: this.#now().wall };
    try {
      await this.#write(attempt, grant);
    } catch (error) {
      if (answer.refreshToken !== undefined) {
        this.#remember(attempt, { account: attempt.account, grant, replaces, held });
        throw error;
      }
      // No refresh token changed: a restart would cost one request more, and nothing else.
      const message = 'the access token could not be saved; it is used all the same';
      this.#deps.log.warn({ event: 'token-not-saved', account: attempt.account.name, problem: verdictOnError(error).problem }, message);
    }
    return { kind: 'obtained', held, isRestored: false };
  }

  /** Keep a new refresh token whose access token cannot be used. */
  async #keepLine(attempt: Attempt, { line, generation, replaces }: Next): Promise<void> {
    const grant: StoredGrant = { ...line, generation, savedAt: this.#now().wall };
    try {
      await this.#write(attempt, grant);
    } catch (error) {
      this.#remember(attempt, { account: attempt.account, grant, replaces });
      throw error;
    }
  }

  /** A late try of an old line must not push out what the line in use has yet to save. */
  #remember(attempt: Attempt, overdue: Overdue): void {
    const isOther = this.#overdue !== undefined && this.#overdue.grant.seedDigest !== overdue.grant.seedDigest;
    if (!isOther || attempt.isWanted(overdue.grant, this.#seen)) this.#overdue = overdue;
  }

  /** @returns True once the grant is durable; false, with nothing done, where its line has ended. */
  async #write(attempt: Attempt, grant: StoredGrant): Promise<boolean> {
    const write = this.#writing.then(async () => {
      if (!attempt.mayKeep(grant, this.#seen)) return false;
      await this.#deps.store.save(attempt.account.name, grant);
      this.#seen = grant;
      this.#written = grant.generation;
      return true;
    });
    this.#writing = write.catch(() => undefined); // Whoever asked for this write hears of its failure.
    return write;
  }

  #redact(secret: string | undefined): void {
    if (secret !== undefined) this.#deps.redactor.add(secret, 'rotating');
  }

  #now(): Moment {
    return { wall: this.#deps.clock.now(), steady: this.#deps.clock.monotonic() };
  }
}

function choose({ refreshToken, previousRefreshToken }: RefreshLine, usesPrevious: boolean): string | undefined {
  return usesPrevious ? (previousRefreshToken ?? refreshToken) : refreshToken;
}

const isForOthers = (account: Account, { accessToken }: StoredGrant): boolean =>
  accessToken !== undefined && accessToken.settingsDigest !== settingsDigest(account);
