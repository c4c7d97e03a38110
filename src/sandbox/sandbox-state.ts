/**
 * What the sandbox remembers over a restart besides its certificates: its tenant, its client credentials, the key that signs access tokens
 * and digests of the refresh tokens it gave out. So a Postern that kept its state works on after both were restarted.
 *
 * @packageDocumentation
 */
import type { Log } from '../core/ports/log.ts';
import type { Random } from '../core/ports/random.ts';
import type { RefreshRecord } from './oauth/refresh-tokens.ts';
import type { StateFiles } from './state-files.ts';

/** Identity of a sandbox. */
export interface SandboxIdentity {
  readonly tenantId: string;
  /** A confidential application ("web"), allowed to send as any mailbox by itself. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** A public application ("mobile and desktop"). */
  readonly publicClientId: string;
  /** Base64. */
  readonly signingKey: string;
}

/** The file's content. */
export interface SandboxState extends SandboxIdentity {
  readonly version: 1;
  readonly refreshTokens: readonly RefreshRecord[];
}

const FILE = 'tenant.json';

export async function loadState(files: StateFiles, random: Random, log: Log): Promise<SandboxState> {
  const text = await files.read(FILE);
  if (text !== undefined) {
    const state = parseState(text);
    if (state !== undefined) return state;
    log.warn({ event: 'sandbox-state-unreadable', file: FILE }, 'the sandbox could not read what it kept and starts with a new tenant');
  }
  return {
    version: 1,
    tenantId: uuid(random),
    clientId: uuid(random),
    clientSecret: `sbx~${Buffer.from(random.octets(30)).toString('base64url')}`,
    publicClientId: uuid(random),
    signingKey: Buffer.from(random.octets(32)).toString('base64'),
    refreshTokens: [],
  };
}

/** Writes one after another; calls while one is being written are joined into the next. */
export class StateWriter {
  readonly #files: StateFiles;
  readonly #read: () => SandboxState;
  readonly #log: Log;
  #writing: Promise<void> | undefined;
  #isDirty = false;

  constructor(files: StateFiles, read: () => SandboxState, log: Log) {
    this.#files = files;
    this.#read = read;
    this.#log = log;
  }

  /** Something changed. */
  schedule(): void {
    this.#isDirty = true;
    this.#writing ??= this.#writeAll();
  }

  /** Everything scheduled has been written, or the failure has been logged. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#isDirty) {
        this.#isDirty = false;
        await this.#files.write(FILE, JSON.stringify(this.#read()), 0o600);
      }
    } catch (error) {
      this.#log.warn({ event: 'sandbox-state-not-kept', file: FILE, error }, 'the sandbox could not keep its state; a restart forgets it');
    } finally {
      this.#writing = undefined;
    }
  }
}

/** RFC 9562 §5.4. */
export function uuid(random: Random): string {
  const octets = Buffer.from(random.octets(16));
  octets.writeUInt8((octets.readUInt8(6) & 0x0f) | 0x40, 6);
  octets.writeUInt8((octets.readUInt8(8) & 0x3f) | 0x80, 8);
  return octets.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function parseState(text: string): SandboxState | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isState(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isState(value: unknown): value is SandboxState {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  const names = ['tenantId', 'clientId', 'clientSecret', 'publicClientId', 'signingKey'];
  const tokens = fields.get('refreshTokens');
  return (
    fields.get('version') === 1 &&
    names.every((name) => typeof fields.get(name) === 'string') &&
    Array.isArray(tokens) &&
    tokens.every(isRefreshRecord)
  );
}

function isRefreshRecord(value: unknown): value is RefreshRecord {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  const texts = ['digest', 'mailbox', 'clientId', 'line'];
  const scopes = fields.get('scopes');
  return (
    texts.every((name) => typeof fields.get(name) === 'string') &&
    Array.isArray(scopes) &&
    scopes.every((scope) => typeof scope === 'string') &&
    typeof fields.get('lastUsedAt') === 'number' &&
    typeof fields.get('isReplaced') === 'boolean'
  );
}
