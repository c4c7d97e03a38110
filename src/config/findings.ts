/**
 * Collects everything that is wrong or worth saying while a configuration is read, so that all of it is told at once.
 *
 * @packageDocumentation
 */
import type { ConfigNotice, ConfigProblem } from './config.ts';

/** The way to a value: keys of maps and indexes of lists. */
export type Path = readonly (string | number)[];

/** How a path is shown to people, and where it stands. */
export interface Place {
  readonly path: string;
  readonly line?: number;
  readonly column?: number;
}

/** Finds the place of a path; that of the nearest enclosing key where the path itself is not written down. */
export type Locate = (path: Path) => Place;

/** `['accounts', 0, 'name']` → `accounts[0].name`. */
export function showPath(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('');
}

/** True where `path` is `ancestor` or lies below it. */
export function isWithin(path: Path, ancestor: Path): boolean {
  return ancestor.every((step, index) => path[index] === step);
}

/** Problems and notices so far. */
export class Findings {
  readonly problems: ConfigProblem[] = [];
  readonly notices: ConfigNotice[] = [];
  #locate: Locate = (path) => ({ path: showPath(path) });
  #isWritten: (path: Path) => boolean = () => false;

  /** From now on places are found with `locate`. */
  locateWith(locate: Locate): void {
    this.#locate = locate;
  }

  /** From now on `isWritten` knows which keys are there, good or bad. */
  recogniseWith(isWritten: (path: Path) => boolean): void {
    this.#isWritten = isWritten;
  }

  /** True where the key is there, good or bad. */
  isWritten(path: Path): boolean {
    return this.#isWritten(path);
  }

  /** A key is needed and not there. Nothing is said where it is there with a problem of its own. */
  missing(path: Path, why: string): void {
    if (!this.#isWritten(path)) this.problem(path, `is missing: ${why}`);
  }

  problem(path: Path, message: string, suggestion?: string): void {
    const found = { ...this.#locate(path), message, ...(suggestion === undefined ? {} : { suggestion }) };
    // One mistake may be met by two checks (a provider used by two accounts).
    if (!this.problems.some((known) => known.path === found.path && known.message === message)) this.problems.push(found);
  }

  notice(path: Path, message: string, topic?: ConfigNotice['topic']): void {
    const found = { ...this.#locate(path), message, ...(topic === undefined ? {} : { topic }) };
    if (!this.notices.some((known) => known.path === found.path && known.message === message)) this.notices.push(found);
  }

  /** In the order of the file; what has no line comes first. Any of `hidden` in a text is replaced. */
  sorted<Finding extends ConfigProblem>(findings: readonly Finding[], hidden: readonly string[]): Finding[] {
    const hide = (text: string): string => hidden.reduce(hideOne, text);
    return findings
      .map((finding) => ({
        ...finding,
        message: hide(finding.message),
        ...(finding.suggestion === undefined ? {} : { suggestion: hide(finding.suggestion) }),
      }))
      .sort((one, other) => (one.line ?? 0) - (other.line ?? 0) || (one.column ?? 0) - (other.column ?? 0));
  }
}

/** Short values stand in ordinary words too; those are hidden only where they are quoted, which is how messages repeat a value. */
function hideOne(text: string, secret: string): string {
  const clean = text.replaceAll(`"${secret}"`, '"[hidden]"');
  return secret.length < 6 ? clean : clean.replaceAll(secret, '[hidden]');
}
