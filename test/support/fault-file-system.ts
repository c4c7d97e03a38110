/**
 * A file system that fails when told to, at the k-th call, in the way told. It counts every call, so that a test can make each of them fail in turn.
 *
 * @packageDocumentation
 */
import type { FileSystem, OpenFile } from '../../src/platform/files.ts';

/** Names of calls: those of {@link FileSystem} and {@link OpenFile}. */
export type CallName = Exclude<keyof FileSystem, 'lock'> | 'write' | 'read' | 'datasync' | 'truncate' | 'fileSize' | 'close';

/** One call as it is made. */
export interface Call {
  /** 0 for the first. */
  readonly index: number;
  readonly name: CallName;
  readonly path: string;
}

/**
 * What becomes of a call. `fail`: an error, nothing is done. `fail-after`: it is done, and then an error, as when a sync reports a failure although the
 * data had reached the disk. `short`: a write takes only half.
 */
export type Verdict = { readonly kind: 'fail' | 'fail-after'; readonly code: string } | { readonly kind: 'short' };

/** Undefined lets a call pass. */
export type FaultPlan = (call: Call) => Verdict | undefined;

export class FaultFileSystem implements FileSystem {
  /** All calls so far. */
  readonly calls: Call[] = [];
  plan: FaultPlan;
  readonly #files: FileSystem;
  readonly #onDone: (call: Call) => void;

  /** @param onDone - Told of each call that did what it was asked to. */
  constructor(files: FileSystem, plan: FaultPlan = () => undefined, onDone: (call: Call) => void = () => undefined) {
    this.#files = files;
    this.plan = plan;
    this.#onDone = onDone;
  }

  /** Calls made from now on are counted from 0. */
  restart(plan: FaultPlan = () => undefined): void {
    this.calls.length = 0;
    this.plan = plan;
  }

  lock: FileSystem['lock'] = (path) => this.#files.lock(path);
  rename: FileSystem['rename'] = (from, to) => this.#do('rename', from, () => this.#files.rename(from, to));
  unlink: FileSystem['unlink'] = (path) => this.#do('unlink', path, () => this.#files.unlink(path));
  list: FileSystem['list'] = (path) => this.#do('list', path, () => this.#files.list(path));
  size: FileSystem['size'] = (path) => this.#do('size', path, () => this.#files.size(path));
  makeDirectory: FileSystem['makeDirectory'] = (path) => this.#do('makeDirectory', path, () => this.#files.makeDirectory(path));
  syncDirectory: FileSystem['syncDirectory'] = (path) => this.#do('syncDirectory', path, () => this.#files.syncDirectory(path));
  freeOctets: FileSystem['freeOctets'] = (path) => this.#do('freeOctets', path, () => this.#files.freeOctets(path));

  open: FileSystem['open'] = (path, mode) =>
    this.#do('open', path, async (): Promise<OpenFile> => {
      const file = await this.#files.open(path, mode);
      return {
        write: (pieces, position) => this.#write(path, file, pieces, position),
        read: (into, position) => this.#do('read', path, () => file.read(into, position)),
        datasync: () => this.#do('datasync', path, () => file.datasync()),
        truncate: (length) => this.#do('truncate', path, () => file.truncate(length)),
        size: () => this.#do('fileSize', path, () => file.size()),
        close: () => this.#do('close', path, () => file.close()),
      };
    });

  async #write(path: string, file: OpenFile, pieces: readonly Uint8Array[], position: number): Promise<number> {
    const call = this.#enter('write', path);
    const verdict = this.plan(call);
    if (verdict?.kind === 'fail') throw failure(verdict.code, 'write');
    const octets = Buffer.concat(pieces);
    const count = verdict?.kind === 'short' ? Math.ceil(octets.length / 2) : octets.length;
    const written = await file.write([octets.subarray(0, count)], position);
    if (verdict?.kind === 'fail-after') throw failure(verdict.code, 'write');
    this.#onDone(call);
    return written;
  }

  async #do<Result>(name: CallName, path: string, call: () => Promise<Result>): Promise<Result> {
    const entered = this.#enter(name, path);
    const verdict = this.plan(entered);
    if (verdict?.kind === 'fail') throw failure(verdict.code, name);
    const result = await call();
    if (verdict?.kind === 'fail-after') throw failure(verdict.code, name);
    this.#onDone(entered);
    return result;
  }

  #enter(name: CallName, path: string): Call {
    const call = { index: this.calls.length, name, path };
    this.calls.push(call);
    return call;
  }
}

function failure(code: string, call: string): Error {
  return Object.assign(new Error(`${code}: ${call}`), { code });
}
