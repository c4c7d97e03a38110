/**
 * Links by which the owner of a mailbox signs in, who is no operator: made by an operator, opened once, good for one account and for nothing else.
 *
 * The values are documents, ready to become JSON. Secrets among them are told once: {@link NewSignInLink.secret} to the operator,
 * {@link OpenedLink.token} to the guest.
 *
 * @packageDocumentation
 */
import type { SignInView } from './setup.ts';

/** What became of a link. Moments are ISO 8601. */
export interface SignInLinkView {
  readonly account: string;
  /** `unopened`: it can be opened until `expiresAt`. `opened`: somebody may sign in. `done`: somebody has. `over`: nobody has in time. */
  readonly state: 'unopened' | 'opened' | 'done' | 'over';
  readonly madeAt: string;
  readonly expiresAt: string;
  readonly openedAt?: string | undefined;
  /** Address of whoever opened it. */
  readonly openedBy?: string | undefined;
}

/** A link that was just made. */
export interface NewSignInLink extends SignInLinkView {
  /** For the fragment of the address, which browsers send to nobody: `/sign-in#SECRET`. Only its digest is kept. */
  readonly secret: string;
}

/** Ways of a guest, whose browser is anywhere. */
export const GUEST_WAYS = ['device', 'paste'] as const;

/** One of {@link GUEST_WAYS}. */
export type GuestWay = (typeof GUEST_WAYS)[number];

/** What a guest is told of the sign-in, and no more. */
export interface GuestView {
  /** As whom to sign in. */
  readonly user: string;
  /** Of {@link GUEST_WAYS}, those that the provider has. */
  readonly ways: readonly GuestWay[];
  /** Nothing can be begun from then on. ISO 8601. */
  readonly until: string;
  /** The sign-in that was begun last. */
  readonly signIn?: Omit<SignInView, 'id' | 'account'>;
}

/** A link that was just opened. */
export interface OpenedLink extends GuestView {
  /** Proves that a request comes from whoever opened it. */
  readonly token: string;
}

/** What an operator does. Each throws ProblemError `API_REQUEST_INVALID` where there is no such account. */
export interface SignInLinks {
  /**
   * Make a link; one that was made before for the account ends.
   *
   * @throws ProblemError `SIGN_IN_UNAVAILABLE` where nobody signs in for the account, or not from elsewhere.
   */
  make(account: string): Promise<NewSignInLink>;

  /** The newest link of the account; undefined where there is none. */
  state(account: string): SignInLinkView | undefined;

  /** End the link of the account, and a sign-in that was begun by it. True where there was one. */
  withdraw(account: string): Promise<boolean>;
}

/** What a guest does. Each throws ProblemError `SIGN_IN_LINK_INVALID` where secret or token are not, or no longer, good. */
export interface GuestSignIn {
  /**
   * Use the link up.
   *
   * @param peer - Address of the guest, for the log.
   */
  open(secret: string, peer: string): Promise<OpenedLink>;

  /** How it goes. */
  look(token: string): GuestView;

  /** Begin to sign in; one that was begun before ends. */
  start(token: string, way: GuestWay): Promise<GuestView>;

  /** The address where a browser has ended. */
  paste(token: string, address: string): GuestView;
}
