/**
 * `${env:NAME}` and `${file:PATH}` anywhere in a text of the configuration; `$${` stands for a literal `${`.
 *
 * What is put in is never looked at again, so a secret may hold anything. Of a file's text one line end at the very end is dropped, since
 * editors and `echo` add it; nothing else.
 *
 * @packageDocumentation
 */
import type { ConfigFiles } from './files.ts';
import { type Findings, type Path, showPath } from './findings.ts';
import { SECRET_KEYS } from './schema.ts';

/** A configuration whose references have been replaced. */
export interface Resolved {
  readonly value: unknown;
  /** Where a reference could not be replaced: whatever else is found there or below is noise. */
  readonly broken: readonly Path[];
  /** Every text that was put in, and every secret that stands in the file itself: none may be shown in a message. */
  readonly hidden: readonly string[];
  /** Values of keys that are secrets by name. */
  readonly secrets: readonly string[];
  /** True where the file itself holds a secret. */
  readonly hasOwnSecrets: boolean;
}

/** What references draw from. */
export interface ReferenceSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly files: ConfigFiles;
}

const EXPOSED =
  'is an argument of a program, which every user of the machine can read: if this is a secret, let the program read it itself';

/** Deeper than any real configuration; an anchor that holds itself would otherwise never end. */
const MOST_LEVELS = 20;

/** Replace all references in `value`. */
export async function resolveReferences(value: unknown, sources: ReferenceSources, findings: Findings): Promise<Resolved> {
  const resolver = new Resolver(sources, findings);
  const resolved = await resolver.resolve(value, []);
  return {
    value: resolved,
    broken: resolver.broken,
    hidden: [...resolver.hidden],
    secrets: [...resolver.secrets],
    hasOwnSecrets: resolver.hasOwnSecrets,
  };
}

class Resolver {
  readonly broken: Path[] = [];
  readonly hidden = new Set<string>();
  readonly secrets = new Set<string>();
  hasOwnSecrets = false;
  readonly #sources: ReferenceSources;
  readonly #findings: Findings;

  constructor(sources: ReferenceSources, findings: Findings) {
    this.#sources = sources;
    this.#findings = findings;
  }

  async resolve(value: unknown, path: Path): Promise<unknown> {
    if (path.length > MOST_LEVELS) return this.#fail(path, 'is nested too deeply');
    if (typeof value === 'string') return this.#text(value, path);
    if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const [index, item] of value.entries()) items.push(await this.resolve(item, [...path, index]));
      return items;
    }
    if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
    const entries: [string, unknown][] = [];
    for (const [key, item] of Object.entries(value)) {
      // A key with nothing behind it, as `accounts:` with all its lines commented out, counts as left out.
      if (item !== null) entries.push([key, await this.resolve(item, [...path, key])]);
    }
    return Object.fromEntries(entries);
  }

  async #text(text: string, path: Path): Promise<unknown> {
    let result = '';
    let end = 0;
    let isOwn = true;
    for (const match of text.matchAll(/\$\$\{|\$\{([^}]*)\}?/g)) {
      result += text.slice(end, match.index);
      end = match.index + match[0].length;
      if (match[1] === undefined) {
        result += '${';
        continue;
      }
      isOwn = false;
      if (path.includes('command')) this.#findings.notice(path, EXPOSED);
      const value = await this.#reference(match[0], match[1], path);
      if (value === undefined) return undefined;
      this.hidden.add(value);
      result += value;
    }
    result += text.slice(end);
    this.#noteSecret(result, path, isOwn);
    return result;
  }

  async #reference(whole: string, inner: string, path: Path): Promise<string | undefined> {
    const [, kind, target = ''] = /^(env|file):(.*)$/s.exec(inner) ?? [];
    if (kind === undefined || target === '' || !whole.endsWith('}')) {
      return this.#fail(path, 'holds a reference that is neither ${env:NAME} nor ${file:PATH}; write $${ for a literal ${');
    }
    return kind === 'env' ? this.#variable(target, path) : this.#file(target, path);
  }

  #variable(name: string, path: Path): string | undefined {
    const value = Object.hasOwn(this.#sources.env, name) ? this.#sources.env[name] : undefined;
    if (value === undefined) return this.#fail(path, `environment variable ${name} is not set`);
    return value === '' ? this.#fail(path, `environment variable ${name} is empty`) : value;
  }

  async #file(target: string, path: Path): Promise<string | undefined> {
    const text = await readSecretFile(this.#sources.files, target, path, this.#findings);
    if (text === undefined) this.broken.push(path);
    return text;
  }

  #noteSecret(text: string, path: Path, isOwn: boolean): void {
    const key = path.at(-1);
    if (typeof key !== 'string' || !SECRET_KEYS.has(key) || text === '') return;
    this.secrets.add(text);
    this.hidden.add(text);
    if (isOwn) this.hasOwnSecrets = true;
  }

  #fail(path: Path, message: string): undefined {
    this.broken.push(path);
    this.#findings.problem(path, message);
    return undefined;
  }
}

/** The text of a secret file without the line end at its end; undefined where it is empty or cannot be read (the findings say why). */
export async function readSecretFile(files: ConfigFiles, file: string, at: Path, findings: Findings): Promise<string | undefined> {
  const content = await files.read(file, at, { isSecret: true });
  if (content === undefined) return undefined;
  const text = content.replace(/\r?\n$/, '');
  if (text !== '') return text;
  findings.problem(at, `${files.absolute(file)} is empty (${showPath(at)} needs a value)`);
  return undefined;
}
