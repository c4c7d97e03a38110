/**
 * The fault switches: everything about the sandbox that can be made to go wrong, as one closed object.
 *
 * The object is plain and mutable. A test sets `sandbox.faults.submission.offersXoauth2 = false`; another process does the same with
 * `PUT /faults` (./fault-parser.ts checks what it sends). Switches act from the next request, command or connection on. docs/sandbox.md
 * lists each with a curl line; a test fails when one is missing there.
 *
 * Sources for the defaults: the limits that Exchange Online documents for client submission, and its token lifetimes.
 *
 * @packageDocumentation
 */

/** A fault that answers the next requests or commands, one after another. */
interface Repeated {
  /** How many requests or commands it takes before it is used up. Default 1. */
  times?: number;
}

/** What the token endpoint does instead of, or to, its next answer. */
export type TokenFault = Repeated &
  (
    | { kind: 'aadsts'; number: number; error?: string; suberror?: string }
    /** 429; `retryAfter` becomes the Retry-After field as it is: seconds or an HTTP date. */
    | { kind: 'too-many-requests'; retryAfter?: string }
    | { kind: 'status'; status: number }
    /** 200 and a page, as a captive portal answers. */
    | { kind: 'html' }
    /** The true answer, cut in the middle. */
    | { kind: 'cut-json' }
    | { kind: 'missing-access-token' }
    | { kind: 'missing-refresh-token' }
    /** The true answer with this `expires_in`. */
    | { kind: 'expires-in'; value: string | number }
    /** The true answer, later. */
    | { kind: 'delay'; milliseconds: number }
    /** No answer. `isProcessed`: the grant was used and rotated before the answer was lost. */
    | { kind: 'hang'; isProcessed?: boolean }
    /** The connection is reset. */
    | { kind: 'reset'; isProcessed?: boolean }
  );

/** Switches of the OAuth server. */
export interface TokenFaults {
  /** `random`: 60 to 90 minutes, as Entra does. */
  accessTokenLifetimeSeconds: number | 'random';
  /** `opaque`: as consumer accounts get them. */
  accessTokenFormat: 'jwt' | 'opaque';
  /** Access tokens are padded to about this length; real ones are 1.5 to 3 kB, sometimes more than 4 kB. */
  accessTokenOctets: number;
  /** `rotate`: each refresh brings a new refresh token; `same`: the one that was sent comes back; `omit`: none comes back. */
  refreshTokens: 'rotate' | 'same' | 'omit';
  /** True: using a refresh token that was replaced revokes the whole line. Entra leaves replaced tokens valid. */
  reuseDetection: boolean;
  /** Days without use after which a refresh token dies (AADSTS700082). */
  refreshTokenIdleDays: number;
  /** The `interval` of the device flow. */
  devicePollSeconds: number;
  /** Answers of the token endpoint to come. */
  next: TokenFault[];
}

/** Where in a submission session a fault strikes. */
export const SUBMISSION_STAGES = ['connect', 'ehlo', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'content', 'final'] as const;

/**
 * A point of a submission session: `connect` stands for the greeting, `auth` for the answer to the credentials, `content` for the octets
 * after 354, `final` for the answer to the dot.
 */
export type SubmissionStage = (typeof SUBMISSION_STAGES)[number];

/** What the submission server does instead of its next answer at a stage. */
export type SubmissionFault = Repeated & {
  stage: SubmissionStage;
  /** Stage `rcpt` only: forward-paths that match; `*` stands for any run of characters. */
  address?: string;
  /** Stage `content` only: octets of content to take first. */
  afterOctets?: number;
  /** Stage `final` only: whether the message counts as delivered. Default: yes, unless a reply that is not 2yz is given. */
  keepsMessage?: boolean;
} & (
    | {
        kind: 'reply';
        /** The whole reply, `550 5.1.1 No such user`; several lines are separated by line feeds and written as they are. */
        reply: string;
      }
    /** The connection is closed without a reply. */
    | { kind: 'drop' }
    /** Nothing is answered and nothing more is read. */
    | { kind: 'stall' }
    | { kind: 'delay'; milliseconds: number }
  );

/** Switches of the submission server. */
export interface SubmissionFaults {
  offersStartTls: boolean;
  offersXoauth2: boolean;
  /** How a token is refused: Exchange says 535 at once, Gmail sends a 334 challenge first. */
  tokenRefusal: 'direct' | 'challenge';
  /** What is shown in the TLS handshake. */
  certificate: 'valid' | 'expired' | 'wrong-host' | 'untrusted';
  /** Octets sent in clear text behind the 220 of STARTTLS, as an attacker in the middle would. */
  injectAfterStartTls: string;
  /** Concurrent sessions per mailbox; 0 switches the limit off. */
  connectionsPerMailbox: number;
  /** Rolling minute, per mailbox; 0 switches the limit off. */
  messagesPerMinute: number;
  /** Rolling 24 hours, per mailbox; 0 switches the limit off. */
  recipientsPerDay: number;
  recipientsPerMessage: number;
  /** MaxSendSize of every mailbox, in octets. EHLO announces 150 MB whatever this says, as Exchange does. */
  maxSendSize: number;
  /** Sent Items cannot take another copy: 554 5.2.2. */
  isMailboxFull: boolean;
  /** False: bare LF and bare CR in content are taken. Exchange refuses them. */
  refusesBareLineEnds: boolean;
  /** Faults to come. The first one whose stage (and address) fits is used. */
  next: SubmissionFault[];
}

/** Where in a mailbox session a fault strikes. */
export const MAILBOX_STAGES = ['connect', 'auth', 'command'] as const;

/** `connect` stands for the greeting, `auth` for the answer to the token, `command` for the answer to a command after that. */
export type MailboxStage = (typeof MAILBOX_STAGES)[number];

/** What the IMAP or POP3 server does instead of its next answer at a stage. */
export type MailboxFault = Repeated & {
  stage: MailboxStage;
  /** Default: both. */
  protocol?: 'imap' | 'pop3';
  /** Stage `command` only: `FETCH`, `UID FETCH`, `RETR`. Default: any. */
  command?: string;
} & (
    | {
        kind: 'reply';
        /** IMAP: what follows the tag, `NO Server Unavailable. 15`; POP3: the line, `-ERR Server Unavailable. 21`. */
        reply: string;
      }
    /** IMAP: `BAD User is authenticated but not connected.` and BYE; POP3 says that the password is wrong. */
    | { kind: 'not-connected' }
    /** `Request is throttled. Suggested Backoff Time: … milliseconds`. */
    | { kind: 'throttled'; milliseconds: number }
    /** As if the token had ended: BYE with AccessTokenExpired; POP3 has no word for it and ends. */
    | { kind: 'expired' }
    /** The connection is closed without a reply. */
    | { kind: 'drop' }
    /** Nothing is answered and nothing more is read. */
    | { kind: 'stall' }
    | { kind: 'delay'; milliseconds: number }
  );

/** Switches of the IMAP and POP3 servers. */
export interface MailboxFaults {
  offersXoauth2: boolean;
  /** How a token is refused: Exchange says NO at once, Gmail sends a challenge with JSON first. */
  tokenRefusal: 'direct' | 'challenge';
  /** What is shown in the TLS handshake. */
  certificate: 'valid' | 'expired' | 'wrong-host' | 'untrusted';
  /** True: the greeting of IMAP has CAPABILITY, as that of most other servers. */
  greetingHasCapability: boolean;
  /** True: IMAP says which folder is for what (RFC 6154). */
  offersSpecialUse: boolean;
  /** False: IMAP answers SEARCH CHARSET UTF-8 with BADCHARSET. */
  takesUtf8Search: boolean;
  /** Sessions end with the token they were opened with, in IDLE too. */
  endsExpiredSessions: boolean;
  /** POP3 takes no access token longer than this; 0 switches the limit off. */
  longestPop3Token: number;
  /** Faults to come. The first one whose stage, protocol and command fit is used. */
  next: MailboxFault[];
}

/** All switches. */
export interface FaultSwitches {
  readonly token: TokenFaults;
  readonly submission: SubmissionFaults;
  readonly mailbox: MailboxFaults;
}

/** Everything as it is at Microsoft. */
export function defaultFaults(): FaultSwitches {
  return {
    token: {
      accessTokenLifetimeSeconds: 'random',
      accessTokenFormat: 'jwt',
      accessTokenOctets: 1_900,
      refreshTokens: 'rotate',
      reuseDetection: false,
      refreshTokenIdleDays: 90,
      devicePollSeconds: 5,
      next: [],
    },
    submission: {
      offersStartTls: true,
      offersXoauth2: true,
      tokenRefusal: 'direct',
      certificate: 'valid',
      injectAfterStartTls: '',
      connectionsPerMailbox: 3,
      messagesPerMinute: 30,
      recipientsPerDay: 10_000,
      recipientsPerMessage: 500,
      maxSendSize: 35 * 1024 * 1024,
      isMailboxFull: false,
      refusesBareLineEnds: true,
      next: [],
    },
    mailbox: {
      offersXoauth2: true,
      tokenRefusal: 'direct',
      certificate: 'valid',
      greetingHasCapability: false,
      offersSpecialUse: false,
      takesUtf8Search: false,
      endsExpiredSessions: true,
      longestPop3Token: 4_096,
      next: [],
    },
  };
}

/** Make `faults` say what `values` say; the object stays the same, since others hold it. */
export function setFaults(faults: FaultSwitches, values: FaultSwitches): void {
  Object.assign(faults.token, values.token);
  Object.assign(faults.submission, values.submission);
  Object.assign(faults.mailbox, values.mailbox);
}

/** The next fault of the token endpoint, counted as used. */
export function takeTokenFault(faults: FaultSwitches): TokenFault | undefined {
  return take(faults.token.next, () => true);
}

/** The next fault for a stage, counted as used. `address` is the forward-path at stage `rcpt`. */
export function takeSubmissionFault(faults: FaultSwitches, stage: SubmissionStage, address = ''): SubmissionFault | undefined {
  return take(faults.submission.next, (fault) => fault.stage === stage && (fault.address === undefined || matches(fault.address, address)));
}

/** The next fault for a stage of a mailbox session, counted as used. `command` is upper-case; `''` but at stage `command`. */
export function takeMailboxFault(
  faults: FaultSwitches,
  stage: MailboxStage,
  protocol: 'imap' | 'pop3',
  command: string,
): MailboxFault | undefined {
  return take(
    faults.mailbox.next,
    (fault) =>
      fault.stage === stage &&
      (fault.protocol ?? protocol) === protocol &&
      (fault.command === undefined || fault.command.toUpperCase() === command),
  );
}

function take<Fault extends Repeated>(queue: Fault[], fits: (fault: Fault) => boolean): Fault | undefined {
  const index = queue.findIndex(fits);
  const fault = queue[index];
  if (fault === undefined) return undefined;
  const left = (fault.times ?? 1) - 1;
  if (left > 0) fault.times = left;
  else queue.splice(index, 1);
  return fault;
}

function matches(pattern: string, address: string): boolean {
  const parts = pattern.toLowerCase().split('*');
  const subject = address.toLowerCase();
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (parts.length === 1) return subject === first;
  if (!subject.startsWith(first) || subject.length < first.length + last.length || !subject.endsWith(last)) return false;
  let from = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = subject.indexOf(part, from);
    if (found === -1) return false;
    from = found + part.length;
  }
  return from <= subject.length - last.length;
}
