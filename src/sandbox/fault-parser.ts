/**
 * Checks fault switches that came over HTTP, switch by switch.
 *
 * Pure. The tables below name every switch of ./faults.ts: the compiler refuses one that has no check here. Unknown names are errors, so that
 * a misspelt switch does not pass for a fault that was survived.
 *
 * @packageDocumentation
 */
import {
  type FaultSwitches,
  MAILBOX_STAGES,
  type MailboxFault,
  type MailboxFaults,
  SUBMISSION_STAGES,
  type SubmissionFault,
  type SubmissionFaults,
  type TokenFault,
  type TokenFaults,
} from './faults.ts';

/** What was sent is not a set of switches; the message names the switch. */
export class FaultSyntaxError extends Error {
  override readonly name = 'FaultSyntaxError';
}

/** Returns the value as its type, or throws {@link FaultSyntaxError}. */
type Check<Value> = (value: unknown, path: string) => Value;

type Checks<Fields> = { readonly [Name in keyof Fields]-?: Check<Fields[Name]> };

const MOST_FAULTS = 1_000;
const LONGEST_TEXT = 65_536;

const integer =
  (least: number, most: number): Check<number> =>
  (value, path) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new FaultSyntaxError(`${path} must be a whole number from ${least} to ${most}`);
  };

const truth: Check<boolean> = (value, path) => {
  if (typeof value === 'boolean') return value;
  throw new FaultSyntaxError(`${path} must be true or false`);
};

const text: Check<string> = (value, path) => {
  if (typeof value === 'string' && value.length <= LONGEST_TEXT) return value;
  throw new FaultSyntaxError(`${path} must be a text of at most ${LONGEST_TEXT} characters`);
};

/** A text that goes into a header field of an answer. */
const fieldText: Check<string> = (value, path) => {
  if (typeof value === 'string' && /^[\x20-\x7e]{1,200}$/.test(value)) return value;
  throw new FaultSyntaxError(`${path} must be 1 to 200 printable characters`);
};

const replyText: Check<string> = (value, path) => {
  if (typeof value === 'string' && /^[2-5]\d\d[ -]/.test(value) && value.length <= LONGEST_TEXT) return value;
  throw new FaultSyntaxError(`${path} must be a whole SMTP reply such as "550 5.1.1 No such user"`);
};

const oneOf =
  <Word extends string>(...words: readonly Word[]): Check<Word> =>
  (value, path) => {
    const word = words.find((candidate) => candidate === value);
    if (word !== undefined) return word;
    throw new FaultSyntaxError(`${path} must be one of ${words.join(', ')}`);
  };

const either =
  <One, Other>(one: Check<One>, other: Check<Other>): Check<One | Other> =>
  (value, path) => {
    try {
      return one(value, path);
    } catch (error) {
      if (!(error instanceof FaultSyntaxError)) throw error;
      return other(value, path);
    }
  };

const listOf =
  <Item>(check: Check<Item>): Check<Item[]> =>
  (value, path) => {
    if (!Array.isArray(value) || value.length > MOST_FAULTS) throw new FaultSyntaxError(`${path} must be a list of at most ${MOST_FAULTS}`);
    return value.map((item, index) => check(item, `${path}[${index}]`));
  };

function entries(value: unknown, path: string): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FaultSyntaxError(`${path} must be an object`);
  return Object.entries(value);
}

/** Check the fields that are there; names without a check are errors. */
function fields<Fields>(value: unknown, path: string, checks: { readonly [name: string]: Check<unknown> }): Partial<Fields> {
  const checked = entries(value, path).map(([name, field]): [string, unknown] => {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) throw new FaultSyntaxError(`${path}.${name} is not a switch; there are: ${Object.keys(checks).join(', ')}`);
    return [name, check(field, `${path}.${name}`)];
  });
  return Object.fromEntries(checked) as Partial<Fields>;
}

/** One object of a union that is told apart by `kind`. */
function variant<Fault extends { readonly kind: string }>(
  common: { readonly [name: string]: Check<unknown> },
  required: readonly string[],
  kinds: { readonly [Kind in Fault['kind']]: { readonly [name: string]: Check<unknown> } },
  optional: readonly string[],
): Check<Fault> {
  const names = Object.keys(kinds) as Fault['kind'][];
  return (value, path) => {
    const kind = oneOf(...names)(new Map(entries(value, path)).get('kind'), `${path}.kind`);
    const own = kinds[kind];
    const fault = fields<Record<string, unknown>>(value, path, { kind: text, ...common, ...own });
    for (const name of [...required, ...Object.keys(own)]) {
      if (!optional.includes(name) && !Object.hasOwn(fault, name)) throw new FaultSyntaxError(`${path}.${name} is missing`);
    }
    return fault as unknown as Fault;
  };
}

const times = integer(1, 1_000_000);
const milliseconds = integer(0, 3_600_000);

const tokenFault = variant<TokenFault>(
  { times },
  [],
  {
    aadsts: { number: integer(1, 99_999_999), error: fieldText, suberror: fieldText },
    'too-many-requests': { retryAfter: fieldText },
    status: { status: integer(400, 599) },
    html: {},
    'cut-json': {},
    'missing-access-token': {},
    'missing-refresh-token': {},
    'expires-in': { value: either<number, string>(integer(-1_000_000_000, 1_000_000_000), text) },
    delay: { milliseconds },
    hang: { isProcessed: truth },
    reset: { isProcessed: truth },
  },
  ['error', 'suberror', 'retryAfter', 'isProcessed'],
);

const submissionFault = variant<SubmissionFault>(
  { stage: oneOf(...SUBMISSION_STAGES), times, address: text, afterOctets: integer(0, 1_000_000_000), keepsMessage: truth },
  ['stage'],
  { reply: { reply: replyText }, drop: {}, stall: {}, delay: { milliseconds } },
  [],
);

const mailboxReply: Check<string> = (value, path) => {
  if (typeof value === 'string' && /^(?:OK|NO|BAD|BYE|PREAUTH|\+OK|-ERR)(?: [ -~]*)?$/.test(value)) return value;
  throw new FaultSyntaxError(`${path} must be one line such as "NO Server Unavailable. 15" or "-ERR Server Unavailable. 21"`);
};

const mailboxFault = variant<MailboxFault>(
  { stage: oneOf(...MAILBOX_STAGES), times, protocol: oneOf('imap', 'pop3'), command: fieldText },
  ['stage'],
  {
    reply: { reply: mailboxReply },
    'not-connected': {},
    throttled: { milliseconds },
    expired: {},
    drop: {},
    stall: {},
    delay: { milliseconds },
  },
  [],
);

const TOKEN_CHECKS: Checks<TokenFaults> = {
  accessTokenLifetimeSeconds: either<number, 'random'>(integer(0, 1_000_000), oneOf('random')),
  accessTokenFormat: oneOf('jwt', 'opaque'),
  accessTokenOctets: integer(0, 16_000),
  refreshTokens: oneOf('rotate', 'same', 'omit'),
  reuseDetection: truth,
  refreshTokenIdleDays: integer(0, 10_000),
  devicePollSeconds: integer(0, 600),
  next: listOf(tokenFault),
};

const SUBMISSION_CHECKS: Checks<SubmissionFaults> = {
  offersStartTls: truth,
  offersXoauth2: truth,
  tokenRefusal: oneOf('direct', 'challenge'),
  certificate: oneOf('valid', 'expired', 'wrong-host', 'untrusted'),
  injectAfterStartTls: text,
  connectionsPerMailbox: integer(0, 1_000_000),
  messagesPerMinute: integer(0, 1_000_000),
  recipientsPerDay: integer(0, 1_000_000_000),
  recipientsPerMessage: integer(1, 1_000_000),
  maxSendSize: integer(1, 157_286_400),
  isMailboxFull: truth,
  refusesBareLineEnds: truth,
  next: listOf(submissionFault),
};

const MAILBOX_CHECKS: Checks<MailboxFaults> = {
  offersXoauth2: truth,
  tokenRefusal: oneOf('direct', 'challenge'),
  certificate: oneOf('valid', 'expired', 'wrong-host', 'untrusted'),
  greetingHasCapability: truth,
  offersSpecialUse: truth,
  takesUtf8Search: truth,
  endsExpiredSessions: truth,
  longestPop3Token: integer(0, 1_000_000),
  next: listOf(mailboxFault),
};

/**
 * Read switches from parsed JSON.
 *
 * @param base - What switches have that are not named. `defaultFaults()` for PUT, the present ones for PATCH.
 * @throws FaultSyntaxError
 */
export function parseFaults(value: unknown, base: FaultSwitches): FaultSwitches {
  const rooms = fields<FaultSwitches>(value, 'faults', {
    token: (room, path) => fields<TokenFaults>(room, path, TOKEN_CHECKS),
    submission: (room, path) => fields<SubmissionFaults>(room, path, SUBMISSION_CHECKS),
    mailbox: (room, path) => fields<MailboxFaults>(room, path, MAILBOX_CHECKS),
  });
  return {
    token: { ...base.token, ...rooms.token },
    submission: { ...base.submission, ...rooms.submission },
    mailbox: { ...base.mailbox, ...rooms.mailbox },
  };
}
