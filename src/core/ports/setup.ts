/**
 * Setting Postern up while it runs: accounts and clients into the configuration, somebody signed in, the account examined and tried.
 *
 * The values are documents, ready to become JSON. None holds a secret but {@link NewClient.password}, which is told once.
 *
 * @packageDocumentation
 */
import type { Problem } from '../problem.ts';

/** An account as somebody fills it in. */
export interface AccountDraft {
  readonly name: string;
  /** Name of a provider: a preset or one of the configuration. */
  readonly provider: string;
  readonly mailbox: string;
  readonly grant: 'refresh_token' | 'client_credentials';
  readonly tenant?: string | undefined;
  readonly clientId: string;
  /** Goes into a file of its own beside the tokens, and not into the configuration. */
  readonly clientSecret?: string | undefined;
}

/** An account as it is configured, as far as somebody fills it in. Values are what references in the file stand for; secrets are not among them. */
export interface ConfiguredAccount {
  readonly name: string;
  readonly provider: string;
  readonly mailbox: string;
  readonly grant: string;
  readonly tenant?: string | undefined;
  readonly clientId?: string | undefined;
  readonly hasClientSecret: boolean;
}

/** What is to become of an account; absent: as it is. Its name stays, since tokens and mail in the queue go by it. */
export type AccountChanges = { readonly [Key in Exclude<keyof AccountDraft, 'name'>]?: AccountDraft[Key] | undefined };

/** A client as somebody fills it in: it proves itself by password, by network, or by either. */
export interface ClientDraft {
  readonly name: string;
  readonly account: string;
  /** With one, a password is made. */
  readonly username?: string | undefined;
  readonly networks?: readonly string[] | undefined;
}

/** A line of the configuration, before or after. */
export interface DiffLine {
  readonly kind: 'same' | 'added' | 'removed';
  readonly text: string;
}

/** A change of the configuration. */
export interface ConfigEdit {
  /** Absolute path. */
  readonly file: string;
  readonly isWritten: boolean;
  /** The lines that differ, with a few around them. */
  readonly diff: readonly DiffLine[];
}

/** A client that was added. */
export interface NewClient extends ConfigEdit {
  /** Told this once; the configuration has its hash. */
  readonly password?: string;
}

/** Ways to sign in: a browser on this machine, one elsewhere whose last address is pasted, or another device. */
export const SIGN_IN_WAYS = ['browser', 'paste', 'device'] as const;

/** One of {@link SIGN_IN_WAYS}. */
export type SignInWay = (typeof SIGN_IN_WAYS)[number];

/** Who has to sign in for an account, and in which ways the provider lets them. */
export interface SignInOffer {
  readonly user: string;
  readonly ways: readonly SignInWay[];
}

/** A sign-in that somebody has begun. */
export interface SignInView {
  readonly id: string;
  readonly account: string;
  readonly way: SignInWay;
  readonly state: 'begun' | 'waiting' | 'done' | 'failed';
  /** Open this. */
  readonly url?: string;
  /** Type this there. */
  readonly userCode?: string;
  /** What was wrong with the address that was pasted last. */
  readonly complaint?: string;
  /** Who has signed in, where the provider says so. */
  readonly user?: string;
  readonly problem?: Problem;
}

/** What a check of the doctor has found. */
export interface ExaminationStep {
  readonly check: string;
  readonly result: 'ok' | 'warn' | 'fail' | 'skip';
  readonly detail: string;
  readonly problem?: string;
  readonly remedy?: string;
}

/** What came of a test message. */
export interface TestMessage {
  readonly from: string;
  readonly to: string;
  readonly messageId: string;
  readonly reply?: string;
  readonly problem?: Problem;
}

/** Something that is wrong in the configuration, or worth a look. */
export interface ConfigRemark {
  readonly kind: 'problem' | 'notice';
  readonly text: string;
  /** Counted from 1; absent where it is about no line. */
  readonly line?: number;
}

/** The configuration as it is in the file. */
export interface ConfigDocument {
  /** Absolute path, or `environment`. */
  readonly source: string;
  /** Its text, secrets replaced; absent where it comes from the environment. */
  readonly text?: string;
  readonly remarks: readonly ConfigRemark[];
}

/** Implementation: app/setup-desk.ts. */
export interface Setup {
  /** Names of providers that an account may have. */
  providers(): Promise<readonly string[]>;

  /** The configuration file, with what is wrong in it. */
  config(): Promise<ConfigDocument>;

  /**
   * Give a client a new password; the one before is refused from then on.
   *
   * @throws ProblemError `API_REQUEST_INVALID` where there is no such client with a user name, `CONFIG_NOT_WRITTEN`
   */
  resetPassword(client: string): Promise<NewClient>;

  /**
   * Add an account to the configuration, comments kept; where it is written, it is in use when this resolves.
   *
   * @param isTrial - Show what would be written.
   * @throws ProblemError `API_REQUEST_INVALID` where the configuration would not be valid, `CONFIG_NOT_WRITTEN`
   */
  addAccount(draft: AccountDraft, isTrial: boolean): Promise<ConfigEdit>;

  /** @throws ProblemError `API_REQUEST_INVALID` where there is no such account. */
  account(name: string): Promise<ConfiguredAccount>;

  /**
   * Change an account in the configuration, comments kept; where it is written, it is in use when this resolves.
   *
   * @param isTrial - Show what would be written.
   * @throws ProblemError `API_REQUEST_INVALID` where there is no such account, or the configuration would not be valid; `CONFIG_NOT_WRITTEN`
   */
  editAccount(name: string, changes: AccountChanges, isTrial: boolean): Promise<ConfigEdit>;

  /** The same as {@link addAccount}, for a client. */
  addClient(draft: ClientDraft, isTrial: boolean): Promise<NewClient>;

  /** @throws ProblemError `API_REQUEST_INVALID` where there is no such account, `SIGN_IN_UNAVAILABLE` where nobody signs in for it. */
  offer(account: string): Promise<SignInOffer>;

  /**
   * One that was begun before for the account ends.
   *
   * @param ended - Is told how it has ended, once.
   * @throws ProblemError `API_REQUEST_INVALID` where there is no such account.
   */
  startSignIn(account: string, way: SignInWay, ended?: (view: SignInView) => void): Promise<SignInView>;

  /** Nobody is waited for any more. Resolves when it has ended; nothing is stored from then on. */
  endSignIn(id: string): Promise<void>;

  /** Undefined where it was long ago. */
  signIn(id: string): SignInView | undefined;

  /** The address where a browser elsewhere has ended. */
  paste(id: string, address: string): SignInView | undefined;

  /** Each step as it is made. @throws ProblemError `API_REQUEST_INVALID` where there is no such account. */
  examine(account: string): Promise<AsyncIterable<ExaminationStep>>;

  /** @throws ProblemError `API_REQUEST_INVALID` where there is no such account. */
  sendTest(account: string, to: string): Promise<TestMessage>;
}
