/**
 * Gives the state a new key and encrypts what is stored with it.
 *
 * In this order, so that whatever step a kill or power cut hits, each grant can be read with a key of the file: the new key is put in front of the
 * old ones; each grant is encrypted anew, under the lock that a running Postern takes too; last, keys that nothing is encrypted with any more
 * are taken out. Run again after an interruption, it goes on from there. A running Postern looks at the file before it saves, and needs no restart.
 *
 * @packageDocumentation
 */
import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SANDBOX_ACCOUNT, type StateSettings } from '../config/config.ts';
import type { AccountName } from '../core/account.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { type FileOperations, isErrno } from '../platform/atomic-file.ts';
import { lockFile } from '../platform/file-lock.ts';
import { type KeyList, newKey, openStateKeys, replaceKeys, type StateKeys } from '../platform/key-file.ts';
import { FileTokenStore } from '../token/file-token-store.ts';
import { deriveGrantKey } from '../token/sealed-grant.ts';
import { refuseForeignState } from './state-owner.ts';

/** What to rotate. */
export interface RotationOrder {
  readonly state: StateSettings;
  /** Their grants are encrypted anew. */
  readonly accounts: readonly AccountName[];
  /** Encrypt with the newest key of the file, and leave the file alone: somebody else puts keys in and takes them out (a Kubernetes secret). */
  readonly isResealOnly: boolean;
  readonly log: Log;
  /** To make steps fail in tests. */
  readonly operations?: FileOperations;
}

/** What came of it. */
export interface Rotation {
  /** Grants that were encrypted anew. */
  readonly resealed: number;
  /** Keys that the file holds now. */
  readonly keys: number;
  /** Of those, the ones that something is encrypted with. */
  readonly needed: number;
  /** Grants that still are encrypted with an older key, and why. */
  readonly left: readonly { readonly file: string; readonly why: string }[];
}

/** @throws ProblemError `STATE_KEY_UNUSABLE`, `TOKEN_STORE_FAILED`; everything stored can be read all the same. */
export async function rotateStateKey(order: RotationOrder): Promise<Rotation> {
  await refuseForeignState(order.state.dir);
  const { path, uid } = await realKeyFile(order.state.keyFile);
  // Somebody else's file is theirs to change: Kubernetes mounts secrets as files of root that the group may read.
  if (order.isResealOnly) return reseal(order, await openStateKeys(path));
  if (process.geteuid !== undefined && uid !== process.geteuid()) throw unusable(`${order.state.keyFile} belongs to user ${uid}`, BY_HAND);
  const release = await lock(path);
  try {
    const { keys: old } = await openStateKeys(path);
    await replaceKeys(path, [newKey(), ...old], order.operations);
    const keys = await openStateKeys(path);
    const rotation = await reseal(order, keys);
    const kept = await neededKeys(storeOf(order, keys), keys.keys);
    await replaceKeys(path, kept, order.operations);
    return { ...rotation, keys: kept.length };
  } finally {
    await release();
  }
}

/** A link stays a link: what it leads to is replaced. */
async function realKeyFile(path: string): Promise<{ readonly path: string; readonly uid: number }> {
  try {
    const real = await realpath(path);
    return { path: real, uid: (await stat(real)).uid };
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw unusable(`there is no key file ${path} yet`, 'Nothing: it is made at the first start of postern serve.');
  }
}

const BY_HAND =
  'Put a line made by "openssl rand -base64 32" before the old one yourself, run postern rotate-key --reseal, then take the old line out.';

/** Two rotations at once would each throw away the key of the other. */
async function lock(path: string): Promise<() => Promise<void>> {
  try {
    const outcome = await lockFile(`${path}.lock`);
    if (outcome.kind === 'locked') return outcome.release;
    throw unusable(`${outcome.holder} is rotating the key`, 'Wait until it has finished.');
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw unusable(`the folder of ${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`, BY_HAND);
  }
}

async function reseal(order: RotationOrder, keys: StateKeys): Promise<Rotation> {
  const store = storeOf(order, keys);
  const trouble = new Map<string, string>();
  let resealed = 0;
  // The account of the sandbox is not in the configuration.
  for (const account of new Set([...order.accounts, SANDBOX_ACCOUNT])) {
    try {
      if (await store.reseal(account)) resealed += 1;
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      trouble.set(store.pathOf(account), error.problem.cause);
    }
  }
  const newest = deriveGrantKey(keys.keys[0]).id;
  const inUse = await store.keysInUse();
  const left = [...inUse].filter(([, id]) => id !== newest).map(([file]) => ({ file, why: trouble.get(file) ?? NOBODYS }));
  return { resealed, keys: keys.keys.length, needed: (await neededKeys(store, keys.keys)).length, left };
}

const NOBODYS = 'it belongs to no configured account: configure it again, or remove the file';

/** The newest key, and those that something is still encrypted with. */
async function neededKeys(store: FileTokenStore, [newest, ...older]: KeyList): Promise<KeyList> {
  const ids = new Set((await store.keysInUse()).values());
  return [newest, ...older.filter((key) => ids.has(deriveGrantKey(key).id))];
}

function storeOf({ state, log, operations }: RotationOrder, masterKey: StateKeys): FileTokenStore {
  return new FileTokenStore({ directory: join(state.dir, 'tokens'), masterKey, log, ...(operations === undefined ? {} : { operations }) });
}

function unusable(cause: string, remedy: string): ProblemError {
  return new ProblemError(problem('STATE_KEY_UNUSABLE', cause, { remedy }));
}
