/**
 * Writes the configuration file for an operator: what it would be is checked as at the start, shown, and only then put in place of the old one, whole.
 *
 * @packageDocumentation
 */
import { chown, mkdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Config, describeFinding, type LoadResult } from '../config/config.ts';
import type { ConfigDocument, ConfigEdit } from '../core/ports/setup.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { replaceFile } from '../platform/atomic-file.ts';

/** What the writer needs. */
export interface ConfigWriterOptions {
  /** Read the configuration; with a text, as if that were in the file. */
  readonly load: (text?: string) => Promise<LoadResult>;
  /** Resolves once what is in the file is in use, or was rejected. */
  readonly reload: () => Promise<void>;
}

/** The editor, which brings the YAML library along. */
type Editor = typeof import('../config/edit.ts');

/** An edit that is not made yet. */
export interface PlannedEdit {
  /** From the text of the file to what it is to be; undefined where that has to be done by hand. */
  readonly edit: (editor: Editor, text: string) => string | undefined;
  /** Where a value is a file that does not exist yet: the same with what will be in it, for the check. */
  readonly checked?: PlannedEdit['edit'];
  /** Is done once the edit is known to be valid, before it is made. */
  readonly before?: () => Promise<void>;
}

export class ConfigWriter {
  readonly #options: ConfigWriterOptions;
  /** Changes come one after another: each begins with what the one before has written. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: ConfigWriterOptions) {
    this.#options = options;
  }

  /** The configuration as it is in the file. @throws ProblemError `API_REQUEST_INVALID` where it cannot be used. */
  async current(): Promise<Config> {
    const loaded = await this.#options.load();
    if (loaded.ok) return loaded.config;
    throw new ProblemError(
      problem('API_REQUEST_INVALID', `${loaded.source} cannot be used: ${loaded.problems.map(describeFinding).join('; ')}`),
    );
  }

  /** The configuration file as it may be shown, and what is wrong in it. */
  async document(): Promise<ConfigDocument> {
    const loaded = await this.#options.load();
    const source = loaded.ok ? loaded.config.source : loaded.source;
    const [kind, found] = loaded.ok ? (['notice', loaded.notices] as const) : (['problem', loaded.problems] as const);
    const remarks = found.map((finding) => {
      const { line } = finding;
      return { kind, text: describeFinding(finding), ...(line === undefined ? {} : { line }) };
    });
    const text = source === 'environment' ? undefined : await shownText(source);
    return { source, remarks, ...(text === undefined ? {} : { text }) };
  }

  /** @throws ProblemError `API_REQUEST_INVALID` with what is wrong, `CONFIG_NOT_WRITTEN` */
  change(planned: PlannedEdit, isTrial: boolean): Promise<ConfigEdit> {
    const change = this.#work.then(() => this.#change(planned, isTrial));
    this.#work = change.catch(() => undefined); // Whoever asked for it hears of it.
    return change;
  }

  async #change({ edit, checked = edit, before }: PlannedEdit, isTrial: boolean): Promise<ConfigEdit> {
    const { source } = await this.current();
    if (source === 'environment') throw notWritten('the configuration comes from the environment, and not from a file');
    const editor = await import('../config/edit.ts');
    const { diffLines } = await import('../config/line-diff.ts');
    const file = await realpath(source);
    const text = await readFile(file, 'utf8');
    const [wanted, tried] = [edit(editor, text), checked(editor, text)];
    if (wanted === undefined || tried === undefined)
      throw notWritten(`${source} is not written in a way that it can be changed from here: in blocks, each value in a line`);
    await this.#check(tried);
    const { redactConfig } = await import('../config/redact.ts');
    // Lines around it may be another account's secret. Both are valid YAML by now.
    const diff = diffLines(redactConfig(text) ?? '', redactConfig(wanted) ?? '');
    if (isTrial) return { file: source, isWritten: false, diff };
    await before?.();
    await this.#check(wanted);
    await write(file, wanted);
    await this.#options.reload();
    return { file: source, isWritten: true, diff };
  }

  async #check(text: string): Promise<void> {
    const loaded = await this.#options.load(text);
    if (!loaded.ok)
      throw new ProblemError(problem('API_REQUEST_INVALID', loaded.problems.map(({ message, path }) => `${path}: ${message}`).join('; ')));
  }
}

/** A secret in a file of its own, readable for nobody else. @throws ProblemError `CONFIG_NOT_WRITTEN` */
export async function writeSecret(stateDir: string, name: string, secret: string): Promise<void> {
  const path = secretPath(stateDir, name);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceFile(path, Buffer.from(secret));
  } catch (error) {
    throw notWritten(`${path}: ${messageOf(error)}`, error);
  }
}

export const secretPath = (stateDir: string, name: string): string => join(stateDir, 'secrets', name);

/** With owner and permissions of the old one, where that is allowed. */
async function write(file: string, text: string): Promise<void> {
  try {
    const { mode, uid, gid } = await stat(file);
    await replaceFile(file, Buffer.from(text), { mode: mode & 0o777 });
    if (process.getuid?.() === 0) await chown(file, uid, gid);
  } catch (error) {
    throw notWritten(`${file}: ${messageOf(error)}`, error);
  }
}

async function shownText(source: string): Promise<string | undefined> {
  const { redactConfig } = await import('../config/redact.ts');
  try {
    return redactConfig(await readFile(source, 'utf8'));
  } catch {
    return undefined; // That it cannot be read is among the problems.
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const notWritten = (cause: string, error?: unknown): ProblemError =>
  new ProblemError(problem('CONFIG_NOT_WRITTEN', cause), { cause: error });
