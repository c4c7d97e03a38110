/**
 * The server's side of SASL PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login, never an RFC, spoken by every device), in all the
 * dialects legacy applications use.
 *
 * Pure: a step is a value; the caller writes challenges, reads the client's lines and checks the credentials. Nothing in here trims or
 * folds a user name or password: they are compared octet for octet.
 *
 * @packageDocumentation
 */

/** Mechanisms a listener offers, in the order it names them. */
export const SERVER_MECHANISMS = ['PLAIN', 'LOGIN'] as const;

export type ServerMechanism = (typeof SERVER_MECHANISMS)[number];

/** What comes next in an exchange. */
export type SaslStep =
  /** Write `challenge` (base64, may be empty) and give the client's next line to `answer`. */
  | { readonly kind: 'challenge'; readonly challenge: string; readonly answer: (line: string) => SaslStep }
  | { readonly kind: 'credentials'; readonly username: string; readonly password: string }
  /** `*` (RFC 4954 §4): the client gave up. */
  | { readonly kind: 'cancelled' }
  /** Not base64, or not what the mechanism asks for. */
  | { readonly kind: 'malformed' }
  /** Well formed and never acceptable: acting for somebody else, no user name or password, control characters in a user name. */
  | { readonly kind: 'unacceptable'; readonly why: string };

/** `Username:` and `Password:`; Xerox devices go on only after exactly these octets. */
const USERNAME_PROMPT = 'VXNlcm5hbWU6';
const PASSWORD_PROMPT = 'UGFzc3dvcmQ6';

/** RFC 4954 §4: a line of the exchange may have 12,288 octets of base64. */
const LONGEST_RESPONSE = 12_288;

/** Undefined for a mechanism that is not offered. Names are case-insensitive (RFC 4954 §4: `AUTH login` is what .NET sends). */
export function findServerMechanism(name: string): ServerMechanism | undefined {
  const upper = name.toUpperCase();
  return SERVER_MECHANISMS.find((mechanism) => mechanism === upper);
}

/**
 * Begin an exchange.
 *
 * @param initialResponse - As it came on the AUTH line, base64 or `=`; undefined where there was none.
 */
export function startSaslExchange(mechanism: ServerMechanism, initialResponse?: string): SaslStep {
  if (mechanism === 'PLAIN') {
    return initialResponse === undefined ? { kind: 'challenge', challenge: '', answer: readPlain } : readPlain(initialResponse);
  }
  // `AUTH LOGIN =` is an empty user name by the letter (RFC 4954 §4); the devices that send it mean "none yet".
  const isMissing = initialResponse === undefined || initialResponse === '=';
  return isMissing ? { kind: 'challenge', challenge: USERNAME_PROMPT, answer: readLoginUsername } : readLoginUsername(initialResponse);
}

function readPlain(line: string): SaslStep {
  const response = decodeResponse(line);
  if (typeof response !== 'string') return response;
  const parts = response.split('\0');
  const [authorizationId = '', username = '', password = ''] = parts;
  if (parts.length !== 3) return { kind: 'malformed' };
  // RFC 4616 §2: an authorization identity asks to act for somebody else. Nobody may, here.
  if (authorizationId !== '' && authorizationId !== username)
    return { kind: 'unacceptable', why: 'authorization identity of another user' };
  return credentials(username, password);
}

function readLoginUsername(line: string): SaslStep {
  const username = decodeResponse(line);
  if (typeof username !== 'string') return username;
  return { kind: 'challenge', challenge: PASSWORD_PROMPT, answer: (next) => readLoginPassword(username, next) };
}

function readLoginPassword(username: string, line: string): SaslStep {
  const password = decodeResponse(line);
  return typeof password === 'string' ? credentials(username, password) : password;
}

function credentials(username: string, password: string): SaslStep {
  if (username === '' || password === '') return { kind: 'unacceptable', why: 'empty user name or password' };
  // A control character could end a field of another SASL message or of a log line that repeats the name.
  if (/[\u0000-\u001f\u007f-\u009f]/.test(username)) return { kind: 'unacceptable', why: 'control character in the user name' };
  return { kind: 'credentials', username, password };
}

/** A client's line, decoded. `=` stands for an empty response, `*` for giving up. */
function decodeResponse(line: string): string | SaslStep {
  if (line === '*') return { kind: 'cancelled' };
  if (line === '=') return '';
  // Padding may be missing: some devices leave it out, and it carries nothing.
  if (line.length > LONGEST_RESPONSE || !/^[A-Za-z0-9+/]*={0,2}$/.test(line)) return { kind: 'malformed' };
  if (line.replace(/=+$/, '').length % 4 === 1) return { kind: 'malformed' };
  return decodeText(Buffer.from(line, 'base64'));
}

/** UTF-8 (RFC 4616 §2); octets that are not are read as Latin-1, which is what old devices send for `ä`. */
export function decodeText(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return Buffer.from(octets).toString('latin1');
  }
}
