/**
 * INI as Python's configparser reads it, without interpolation: what email-oauth2-proxy does with its file.
 *
 * Pure, one pass. Keys are lower case; `=` or `:` separates; lines that begin with `#` or `;` are comments; a line indented deeper than its key
 * goes on with the value, empty lines in between included; a section or key may not come twice; `[DEFAULT]` holds for all.
 *
 * Source: Python documentation, configparser, "Supported INI File Structure".
 *
 * @packageDocumentation
 */

/** A value and the line of its key, counted from 1. */
export interface IniValue {
  readonly text: string;
  readonly line: number;
}

/** One section. */
export interface IniSection {
  readonly name: string;
  readonly line: number;
  readonly values: ReadonlyMap<string, IniValue>;
}

export type IniResult =
  | { readonly ok: true; readonly sections: readonly IniSection[] }
  | { readonly ok: false; readonly problems: readonly { readonly line: number; readonly message: string }[] };

const MOST_PROBLEMS = 20;

export function parseIni(text: string): IniResult {
  const parser = new IniParser();
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  lines.forEach((line, index) => parser.take(line, index + 1));
  return parser.finish();
}

interface Open {
  readonly parts: string[];
  readonly line: number;
}

class IniParser {
  readonly #sections = new Map<string, { readonly line: number; readonly values: Map<string, Open> }>();
  readonly #problems: { readonly line: number; readonly message: string }[] = [];
  #values: Map<string, Open> | undefined;
  #open: Open | undefined;
  #indent = 0;

  take(line: string, number: number): void {
    const text = line.trim();
    if (text === '') return void this.#open?.parts.push('');
    if (text.startsWith('#') || text.startsWith(';')) return;
    const indent = line.length - line.trimStart().length;
    if (this.#open !== undefined && indent > this.#indent) return void this.#open.parts.push(text);
    this.#indent = indent;
    this.#open = undefined;
    const end = text.startsWith('[') ? text.lastIndexOf(']') : -1;
    if (end > 1) this.#section(text.slice(1, end), number);
    else this.#key(text, number);
  }

  finish(): IniResult {
    if (this.#problems.length > 0) return { ok: false, problems: this.#problems.slice(0, MOST_PROBLEMS) };
    const common = this.#sections.get('DEFAULT')?.values ?? new Map<string, Open>();
    const sections = [...this.#sections].filter(([name]) => name !== 'DEFAULT');
    return {
      ok: true,
      sections: sections.map(([name, { line, values }]) => ({ name, line, values: closed(new Map([...common, ...values])) })),
    };
  }

  #section(name: string, line: number): void {
    const known = this.#sections.get(name);
    if (known !== undefined && name !== 'DEFAULT') this.#problem(line, `section [${name}] comes twice, first in line ${known.line}`);
    this.#values = known?.values ?? new Map();
    if (known === undefined) this.#sections.set(name, { line, values: this.#values });
  }

  #key(text: string, line: number): void {
    if (this.#values === undefined) return this.#problem(line, 'stands before the first [section]');
    const at = text.search(/[=:]/);
    if (at < 1) return this.#problem(line, 'is neither a [section] nor key = value');
    const key = text.slice(0, at).trimEnd().toLowerCase();
    const known = this.#values.get(key);
    if (known !== undefined) return this.#problem(line, `key ${key} comes twice, first in line ${known.line}`);
    this.#open = { parts: [text.slice(at + 1).trim()], line };
    this.#values.set(key, this.#open);
  }

  #problem(line: number, message: string): void {
    this.#problems.push({ line, message });
  }
}

function closed(values: ReadonlyMap<string, Open>): Map<string, IniValue> {
  return new Map([...values].map(([key, { parts, line }]) => [key, { text: parts.join('\n').trimEnd(), line }]));
}
