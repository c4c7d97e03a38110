/**
 * Keeps links by which owners of mailboxes sign in, and does what their guests ask for.
 *
 * Of a link's secret (256 random bits) and of a guest's token only digests are kept, and those only in memory: a link ends with the process. A link is
 * used up before anything else happens, so of two who open it at the same moment one gets in. What was used is remembered for as long as it could have been used: its owner
 * reads that somebody else was there.
 *
 * A guest can begin to sign in for the one account, and bring an address. Whether the mailbox signed in is decided where it is decided for operators
 * (token/sign-in/identity.ts).
 *
 * @packageDocumentation
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type EpochMs, hours, minutes, type MonotonicMs, plus } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log, Redactor } from '../core/ports/log.ts';
import type { Setup, SignInView } from '../core/ports/setup.ts';
import {
  GUEST_WAYS,
  type GuestSignIn,
  type GuestView,
  type GuestWay,
  type NewSignInLink,
  type OpenedLink,
  type SignInLinks,
  type SignInLinkView,
} from '../core/ports/sign-in-links.ts';
import { ProblemError, problem } from '../core/problem.ts';

/** What the desk needs. */
export interface SignInDeskOptions {
  readonly setup: Pick<Setup, 'offer' | 'startSignIn' | 'endSignIn' | 'signIn' | 'paste'>;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly log: Log;
  readonly redactor: Redactor;
}

/** Time to read mail in. */
const LINK_LIMIT = hours(24);
/** From the opening on; a sign-in that was begun goes on for as long as any. */
const GUEST_LIMIT = minutes(30);
/** Each asks the provider for something. */
const MOST_STARTS = 10;
const MOST_LINKS = 100;
const SECRET_OCTETS = 32;
const WITHDRAWN = 'it was withdrawn, or another one was made';

interface GuestOffer {
  readonly user: string;
  readonly ways: readonly GuestWay[];
}

interface Opened extends GuestOffer {
  readonly token: Buffer;
  readonly at: EpochMs;
  readonly by: string;
  readonly until: MonotonicMs;
  readonly untilMoment: EpochMs;
  starts: number;
  signIn: string | undefined;
}

interface Link {
  readonly account: string;
  readonly secret: Buffer;
  readonly madeAt: EpochMs;
  readonly expiresAt: EpochMs;
  readonly until: MonotonicMs;
  /** Set before anything else is done for whoever brings the secret. */
  isUsed: boolean;
  opened: Opened | undefined;
  isDone: boolean;
  isWithdrawn: boolean;
}

export class SignInDesk implements SignInLinks, GuestSignIn {
  readonly #options: SignInDeskOptions;
  /** Oldest first. */
  #links: readonly Link[] = [];

  constructor(options: SignInDeskOptions) {
    this.#options = options;
  }

  async make(account: string): Promise<NewSignInLink> {
    const { setup, clock, log, redactor } = this.#options;
    await this.#guestWays(account, setup);
    await this.withdraw(account);
    const secret = newSecret();
    redactor.add(secret, 'rotating');
    const now = clock.now();
    const link: Link = {
      account,
      secret: digest(secret),
      madeAt: now,
      expiresAt: plus(now, LINK_LIMIT),
      until: plus(clock.monotonic(), LINK_LIMIT),
      isUsed: false,
      opened: undefined,
      isDone: false,
      isWithdrawn: false,
    };
    this.#links = [...this.#remembered(), link].slice(-MOST_LINKS);
    log.info({ event: 'sign-in-link-made', account, expiresInSeconds: LINK_LIMIT / 1000 }, 'a link to sign in was made');
    return { ...this.#describe(link), secret };
  }

  state(account: string): SignInLinkView | undefined {
    const link = this.#newest(account);
    return link === undefined ? undefined : this.#describe(link);
  }

  async withdraw(account: string): Promise<boolean> {
    const link = this.#newest(account);
    if (link === undefined) return false;
    link.isWithdrawn = true;
    const { signIn } = link.opened ?? {};
    if (signIn !== undefined && !link.isDone) await this.#options.setup.endSignIn(signIn);
    this.#options.log.info({ event: 'sign-in-link-withdrawn', account }, 'the link to sign in is not good any more');
    return true;
  }

  async open(secret: string, peer: string): Promise<OpenedLink> {
    const { setup, clock, log, redactor } = this.#options;
    const link = this.#linkOf(secret, peer);
    link.isUsed = true;
    const { user, ways } = await this.#offerOf(link, setup);
    const token = newSecret();
    redactor.add(token, 'rotating');
    const at = clock.now();
    const until = plus(clock.monotonic(), GUEST_LIMIT);
    link.opened = {
      token: digest(token),
      at,
      by: peer,
      until,
      untilMoment: plus(at, GUEST_LIMIT),
      user,
      ways,
      starts: 0,
      signIn: undefined,
    };
    log.info({ event: 'sign-in-link-opened', account: link.account, peer }, 'the link to sign in was opened, and is used up');
    return { ...this.#guestView(link.opened), token };
  }

  look(token: string): GuestView {
    return this.#guestView(this.#guestOf(token).opened);
  }

  async start(token: string, way: GuestWay): Promise<GuestView> {
    const { link, opened } = this.#guestOf(token);
    if (link.isDone) throw linkInvalid('the sign-in is done');
    if (this.#isOver(opened.until)) throw linkInvalid('the time for this sign-in is over');
    if (!opened.ways.includes(way)) throw new ProblemError(problem('SIGN_IN_UNAVAILABLE'));
    if (opened.starts >= MOST_STARTS) throw linkInvalid(`it was begun ${MOST_STARTS} times`);
    opened.starts += 1;
    const { id } = await this.#options.setup.startSignIn(link.account, way, (view) => this.#ended(link, view));
    if (link.isWithdrawn) {
      await this.#options.setup.endSignIn(id);
      throw linkInvalid(WITHDRAWN);
    }
    opened.signIn = id;
    return this.#guestView(opened);
  }

  paste(token: string, address: string): GuestView {
    const { opened } = this.#guestOf(token);
    if (opened.signIn !== undefined) this.#options.setup.paste(opened.signIn, address);
    return this.#guestView(opened);
  }

  /** Where nothing can be offered, nothing was used. */
  async #offerOf(link: Link, setup: SignInDeskOptions['setup']): Promise<GuestOffer> {
    try {
      const offer = await this.#guestWays(link.account, setup);
      if (!link.isWithdrawn) return offer;
    } catch (error) {
      link.isUsed = false;
      throw error;
    }
    throw linkInvalid(WITHDRAWN);
  }

  #ended(link: Link, { state, user }: SignInView): void {
    if (state !== 'done') return;
    link.isDone = true;
    const who = user === undefined ? {} : { user };
    this.#options.log.info({ event: 'sign-in-link-done', account: link.account, ...who }, 'somebody has signed in by the link');
  }

  /** Those that are not over, or were over only lately. */
  #remembered(): readonly Link[] {
    return this.#links.filter(({ until }) => !this.#isOver(plus(until, LINK_LIMIT)));
  }

  #newest(account: string): Link | undefined {
    return this.#links.findLast((link) => link.account === account && !link.isWithdrawn);
  }

  /** @throws ProblemError `SIGN_IN_LINK_INVALID` */
  #linkOf(secret: string, peer: string): Link {
    const given = digest(secret);
    // All are compared, each in constant time.
    const [link] = this.#links.filter(({ secret: known }) => timingSafeEqual(known, given));
    const why = this.#reasonAgainst(link);
    if (link !== undefined && why === undefined) return link;
    const refusal = linkInvalid(why ?? 'there is no such link');
    const about = link === undefined ? {} : { account: link.account };
    this.#options.log.warn({ event: 'sign-in-link-refused', peer, ...about, problem: refusal.problem }, 'a link to sign in was refused');
    throw refusal;
  }

  #reasonAgainst(link: Link | undefined): string | undefined {
    if (link === undefined) return 'there is no such link, or it was made before Postern was started last';
    if (link.isWithdrawn) return WITHDRAWN;
    if (link.opened !== undefined) return `it was used already, at ${isoOf(link.opened.at)}`;
    if (link.isUsed) return 'it was used already';
    return this.#isOver(link.until) ? `it was good until ${isoOf(link.expiresAt)}` : undefined;
  }

  /** @throws ProblemError `SIGN_IN_LINK_INVALID` */
  #guestOf(token: string): { readonly link: Link; readonly opened: Opened } {
    const given = digest(token);
    const [link] = this.#links.filter(({ opened }) => opened !== undefined && timingSafeEqual(opened.token, given));
    if (link?.opened === undefined) throw linkInvalid('nobody has opened a link here, or it was long ago');
    if (link.isWithdrawn) throw linkInvalid(WITHDRAWN);
    if (this.#isOver(plus(link.opened.until, GUEST_LIMIT))) throw linkInvalid('the time for this sign-in is over');
    return { link, opened: link.opened };
  }

  async #guestWays(account: string, setup: SignInDeskOptions['setup']): Promise<GuestOffer> {
    const { user, ways } = await setup.offer(account);
    const own = GUEST_WAYS.filter((way) => ways.includes(way));
    if (own.length > 0) return { user, ways: own };
    throw new ProblemError(problem('SIGN_IN_UNAVAILABLE', `the provider of account ${account} has no sign-in from elsewhere`));
  }

  #guestView({ user, ways, untilMoment, signIn }: Opened): GuestView {
    const view = signIn === undefined ? undefined : this.#options.setup.signIn(signIn);
    if (view === undefined) return { user, ways, until: isoOf(untilMoment) };
    const { id: _id, account: _account, ...shown } = view;
    return { user, ways, until: isoOf(untilMoment), signIn: shown };
  }

  #describe(link: Link): SignInLinkView {
    const { account, madeAt, expiresAt, opened } = link;
    const by = opened === undefined ? {} : { openedAt: isoOf(opened.at), openedBy: opened.by };
    return { account, state: this.#stateOf(link), madeAt: isoOf(madeAt), expiresAt: isoOf(expiresAt), ...by };
  }

  #stateOf({ isDone, isUsed, opened, until }: Link): SignInLinkView['state'] {
    if (isDone) return 'done';
    const end = opened === undefined ? until : plus(opened.until, GUEST_LIMIT);
    if (this.#isOver(end)) return 'over';
    return isUsed ? 'opened' : 'unopened';
  }

  #isOver(moment: MonotonicMs): boolean {
    return moment <= this.#options.clock.monotonic();
  }
}

const newSecret = (): string => randomBytes(SECRET_OCTETS).toString('base64url');
const digest = (secret: string): Buffer => createHash('sha256').update(secret).digest();
const isoOf = (at: EpochMs): string => new Date(at).toISOString();

/** @param why - What is wrong with it. */
const linkInvalid = (why: string): ProblemError => new ProblemError(problem('SIGN_IN_LINK_INVALID', `the link cannot be used: ${why}`));
