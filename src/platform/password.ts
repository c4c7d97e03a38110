/**
 * Local passwords at rest: scrypt (RFC 7914), computed off the main thread.
 *
 * Format, after the PHC string convention: `$scrypt$ln=15,r=8,p=1$SALT$HASH`, base64 without padding. 32 MiB and about 75 ms a try.
 *
 * At most two derivations run at once in the whole process, since they share libuv's four threads with fsync and DNS; at most
 * {@link MOST_WAITING} wait, and beyond that a flood of logins is turned away at once.
 *
 * @packageDocumentation
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

interface Parameters {
  /** Binary logarithm of the cost N. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

const OURS: Parameters = { logN: 15, r: 8, p: 1 };
const SALT_OCTETS = 16;
const HASH_OCTETS = 32;
const MOST_AT_ONCE = 2;
const MOST_WAITING = 64;

/** A well-formed hash that no password has, for user names that do not exist: refusing those must cost as much as refusing a password. */
export const NOBODY = `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** Too many logins wait for a derivation; try again later. */
export class PasswordCheckBusyError extends Error {
  override readonly name = 'PasswordCheckBusyError';
}

/** The value for `clients[].passwordHash`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_OCTETS);
  const hash = await derive(password, salt, OURS, HASH_OCTETS);
  return `$scrypt$ln=${OURS.logN},r=${OURS.r},p=${OURS.p}$${withoutPadding(salt)}$${withoutPadding(hash)}`;
}

/**
 * @returns False for a wrong password and for a `hash` that is not one of ours.
 * @throws PasswordCheckBusyError
 */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const parsed = parseHash(hash);
  if (parsed === undefined) return false;
  const derived = await derive(password, parsed.salt, parsed.parameters, parsed.hash.length);
  return timingSafeEqual(derived, parsed.hash);
}

/** True for a string that {@link verifyPassword} can work with. */
export function isPasswordHash(hash: string): boolean {
  return parseHash(hash) !== undefined;
}

function parseHash(text: string): { parameters: Parameters; salt: Buffer; hash: Buffer } | undefined {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/.exec(text);
  if (match === null) return undefined;
  const parameters = { logN: Number(match[1]), r: Number(match[2]), p: Number(match[3]) };
  // Bounds: a hash comes from the configuration, but a typing error in it must not ask for gigabytes.
  if (parameters.logN < 10 || parameters.logN > 20 || parameters.r < 1 || parameters.r > 16 || parameters.p < 1 || parameters.p > 4)
    return undefined;
  return { parameters, salt: Buffer.from(match[4] ?? '', 'base64'), hash: Buffer.from(match[5] ?? '', 'base64') };
}

async function derive(password: string, salt: Uint8Array, { logN, r, p }: Parameters, length: number): Promise<Buffer> {
  return inTurn(
    () =>
      new Promise<Buffer>((resolve, reject) => {
        // maxmem must exceed 128·N·r (RFC 7914 §2).
        scrypt(password, salt, length, { N: 2 ** logN, r, p, maxmem: 256 * 2 ** logN * r }, (error, key) =>
          error === null ? resolve(key) : reject(error),
        );
      }),
  );
}

/**
 * Run a key derivation when it is its turn.
 *
 * @throws PasswordCheckBusyError where too many wait already; and whatever `action` throws.
 */
export async function inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
  await takeTurn();
  try {
    return await action();
  } finally {
    endTurn();
  }
}

let running = 0;
const waiting: (() => void)[] = [];

async function takeTurn(): Promise<void> {
  if (running < MOST_AT_ONCE) {
    running += 1;
    return;
  }
  if (waiting.length >= MOST_WAITING) throw new PasswordCheckBusyError('too many logins wait for their password check');
  await new Promise<void>((resolve) => waiting.push(resolve));
}

/** The turn passes to the next in line, so `running` stays as it is. */
function endTurn(): void {
  const next = waiting.shift();
  if (next === undefined) running -= 1;
  else next();
}

const withoutPadding = (octets: Uint8Array): string => Buffer.from(octets).toString('base64').replace(/=+$/, '');
