/**
 * A file system in memory that knows what would survive: what a process has written is there after a kill, what it has synced is there after a power
 * cut, and of the rest a power cut keeps an arbitrary part, in sectors of 512 octets and names one by one, as disks do.
 *
 * Tests of durability run on it by the thousand, with every cut repeatable from its seed; the same code is tried on a real ext4 in
 * test/campaign/spool-power-cut.ts.
 *
 * @packageDocumentation
 */
import { basename, dirname } from 'node:path';
import type { FileSystem, OpenFile, OpenMode } from '../../src/platform/files.ts';

const SECTOR = 512;

interface Node {
  /** As a process sees it. */
  octets: Buffer;
  /** As it was at the last sync. */
  synced: Buffer;
}

interface Directory {
  readonly names: Map<string, Node>;
  readonly synced: Map<string, Node>;
}

/** Which syncs the disk pretends to make: the controls that show that a harness can see a loss. */
export interface DiskFaults {
  readonly ignoresSync?: boolean;
  readonly ignoresDirectorySync?: boolean;
}

/** @returns True with probability one half, say. */
export type Coin = () => boolean;

export class MemoryDisk implements FileSystem {
  readonly #directories = new Map<string, Directory>();
  readonly #locks = new Set<string>();
  readonly #faults: DiskFaults;
  /** What `freeOctets` answers, and what writes that make a file grow are held to. */
  capacity = Number.MAX_SAFE_INTEGER;

  constructor(faults: DiskFaults = {}) {
    this.#faults = faults;
  }

  /** The disk as the next process finds it after a kill: all that was written, and still only that is safe which was synced. */
  afterKill(): MemoryDisk {
    const nodes = new Map<Node, Node>();
    const same = (node: Node): Node => {
      const known = nodes.get(node) ?? { octets: Buffer.from(node.octets), synced: Buffer.from(node.synced) };
      nodes.set(node, known);
      return known;
    };
    const copied = (names: Map<string, Node>): Map<string, Node> => new Map([...names].map(([name, node]) => [name, same(node)]));
    return this.#copy(({ names, synced }) => ({ names: copied(names), synced: copied(synced) }));
  }

  /** The disk as the next process finds it after a power cut. */
  afterPowerCut(coin: Coin): MemoryDisk {
    const nodes = new Map<Node, Node>();
    const survivor = (node: Node): Node => {
      const known = nodes.get(node) ?? nodeOf(survivingOctets(node, coin));
      nodes.set(node, known);
      return known;
    };
    return this.#copy(({ names, synced }) => {
      const left = new Map<string, Node>();
      for (const name of new Set([...names.keys(), ...synced.keys()])) {
        const [before, now] = [synced.get(name), names.get(name)];
        const node = before === now || coin() ? now : before;
        if (node !== undefined) left.set(name, survivor(node));
      }
      return { names: left, synced: new Map(left) };
    });
  }

  async open(path: string, mode: OpenMode): Promise<OpenFile> {
    const directory = this.#directory(dirname(path));
    const found = directory.names.get(basename(path));
    if (mode === 'create') {
      if (found !== undefined) throw errno('EEXIST', path);
      const node = { octets: Buffer.alloc(0), synced: Buffer.alloc(0) };
      directory.names.set(basename(path), node);
      return this.#file(node);
    }
    if (found === undefined) throw errno('ENOENT', path);
    return this.#file(found);
  }

  async rename(from: string, to: string): Promise<void> {
    const node = this.#node(from);
    this.#directory(dirname(from)).names.delete(basename(from));
    this.#directory(dirname(to)).names.set(basename(to), node);
  }

  async unlink(path: string): Promise<void> {
    this.#node(path);
    this.#directory(dirname(path)).names.delete(basename(path));
  }

  async list(directory: string): Promise<string[]> {
    return [...this.#directory(directory).names.keys()].sort();
  }

  async size(path: string): Promise<number> {
    return this.#node(path).octets.length;
  }

  async makeDirectory(path: string): Promise<void> {
    if (!this.#directories.has(path)) this.#directories.set(path, { names: new Map(), synced: new Map() });
  }

  async syncDirectory(path: string): Promise<void> {
    const { names, synced } = this.#directory(path);
    if (this.#faults.ignoresSync === true || this.#faults.ignoresDirectorySync === true) return;
    synced.clear();
    for (const [name, node] of names) synced.set(name, node);
  }

  async freeOctets(): Promise<number> {
    return this.capacity - this.usedOctets;
  }

  async lock(path: string): Promise<{ kind: 'locked'; release: () => Promise<void> } | { kind: 'held'; holder: string }> {
    if (this.#locks.has(path)) return { kind: 'held', holder: 'process 1' };
    this.#locks.add(path);
    return { kind: 'locked', release: async () => void this.#locks.delete(path) };
  }

  /** Of all files. */
  get usedOctets(): number {
    let sum = 0;
    for (const { names } of this.#directories.values()) for (const { octets } of names.values()) sum += octets.length;
    return sum;
  }

  /** What a process would read; for looking and for doing damage. */
  read(path: string): Buffer {
    return this.#node(path).octets;
  }

  /** Replaces a file, durably. */
  replace(path: string, octets: Buffer): void {
    const { names, synced } = this.#directory(dirname(path));
    const node = nodeOf(octets);
    for (const list of [names, synced]) list.set(basename(path), node);
  }

  /** Paths of all files in a directory. */
  paths(directory: string): string[] {
    return [...this.#directory(directory).names.keys()].sort().map((name) => `${directory}/${name}`);
  }

  #copy(change: (directory: Directory) => Directory): MemoryDisk {
    const copy = new MemoryDisk(this.#faults);
    copy.capacity = this.capacity;
    for (const [path, directory] of this.#directories) copy.#directories.set(path, change(directory));
    return copy;
  }

  #file(node: Node): OpenFile {
    return {
      write: async (pieces, position) => this.#write(node, Buffer.concat(pieces), position),
      read: async (into, position) => (position < node.octets.length ? node.octets.copy(into, 0, position, position + into.length) : 0),
      datasync: async () => {
        if (this.#faults.ignoresSync !== true) node.synced = Buffer.from(node.octets);
      },
      truncate: async (length) => {
        node.octets = resized(node.octets, length);
      },
      size: async () => node.octets.length,
      close: async () => undefined,
    };
  }

  /** As many octets as there is room for; ENOSPC where there is none. */
  #write(node: Node, octets: Buffer, position: number): number {
    const growth = position + octets.length - node.octets.length;
    const room = this.capacity - this.usedOctets;
    const count = growth <= room ? octets.length : octets.length - (growth - Math.max(0, room));
    if (count <= 0) throw errno('ENOSPC', 'write');
    if (position + count > node.octets.length) node.octets = resized(node.octets, position + count);
    octets.copy(node.octets, position, 0, count);
    return count;
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw errno('ENOENT', path);
    return directory;
  }

  #node(path: string): Node {
    const node = this.#directory(dirname(path)).names.get(basename(path));
    if (node === undefined) throw errno('ENOENT', path);
    return node;
  }
}

function nodeOf(octets: Buffer): Node {
  return { octets: Buffer.from(octets), synced: Buffer.from(octets) };
}

function resized(octets: Buffer, length: number): Buffer {
  const other = Buffer.alloc(length);
  octets.copy(other, 0, 0, Math.min(octets.length, length));
  return other;
}

/** The synced octets, with any of the sectors that were written since; the length is either's. */
function survivingOctets({ octets, synced }: Node, coin: Coin): Buffer {
  const left = resized(synced, octets.length === synced.length || coin() ? octets.length : synced.length);
  for (let at = 0; at < left.length; at += SECTOR) {
    const end = Math.min(at + SECTOR, left.length, octets.length);
    if (at < end && octets.compare(left, at, end, at, end) !== 0 && coin()) octets.copy(left, at, at, end);
  }
  return left;
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
