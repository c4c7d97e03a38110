/**
 * Adds accounts and clients to the text of a configuration. Only lines are added: comments, order and spelling of everything else stay as they are.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { isMap, isScalar, isSeq, type Pair, parseDocument, stringify, type YAMLSeq } from 'yaml';

/** A section with a list of named things. */
export type ListSection = 'accounts' | 'clients';

const INDENT = 2;

/** The text with one more item in `section`; undefined where that has to be done by hand, since the list is not written as a block. */
export function addItem(text: string, section: ListSection, item: Readonly<Record<string, unknown>>): string | undefined {
  const document = parseDocument(text, { logLevel: 'error' });
  if (document.errors.length > 0) return undefined;
  const { contents } = document;
  if (contents === null) return `${endLine(text)}${section}:\n${render(item, INDENT)}`;
  if (!isMap(contents) || contents.flow === true) return undefined;
  const pair = contents.items.find(({ key }) => isScalar(key) && key.value === section);
  if (pair === undefined) return `${endLine(text)}\n${section}:\n${render(item, INDENT)}`;
  return intoPair(text, pair, item);
}

/** The text with another password hash for the client; undefined where it has no password, or is not there. */
export function replacePassword(text: string, client: string, passwordHash: string): string | undefined {
  const document = parseDocument(text, { logLevel: 'error' });
  const list = document.errors.length > 0 ? undefined : document.get('clients');
  const items = isSeq(list) ? list.items : [];
  const item = items.find((one) => isMap(one) && one.get('name') === client);
  if (!isMap(item)) return undefined;
  const pair = ['passwordHash', 'password']
    .map((name) => item.items.find(({ key }) => isScalar(key) && key.value === name))
    .find((found) => found !== undefined);
  const { key, value } = pair ?? {};
  const [from, to] = [isScalar(key) ? key.range?.[0] : undefined, isScalar(value) ? value.range?.[1] : undefined];
  if (from === undefined || to === undefined) return undefined;
  const lineEnd = text.slice(from, to).endsWith('\n') ? '\n' : '';
  return `${text.slice(0, from)}passwordHash: ${JSON.stringify(passwordHash)}${lineEnd}${text.slice(to)}`;
}

function intoPair(text: string, { key, value }: Pair, item: Readonly<Record<string, unknown>>): string | undefined {
  if (isSeq(value) && value.items.length > 0) return value.flow === true ? undefined : behindLast(text, value, item);
  if (!isScalar(key) || key.range === undefined || key.range === null) return undefined;
  const isEmptyList = isSeq(value);
  if (!isEmptyList && !(isScalar(value) && value.value === null) && value !== null) return undefined;
  // `accounts:`, `accounts: ~` or `accounts: []`: the item comes below the key, before comments that stand there.
  const end = lineEnd(text, key.range[1]);
  const line = text.slice(key.range[1], end);
  const comment = /\s#.*$/.exec(line)?.[0] ?? '';
  return `${text.slice(0, key.range[1])}:${comment}\n${render(item, INDENT)}${text.slice(end + 1)}`;
}

function behindLast(text: string, list: YAMLSeq, item: Readonly<Record<string, unknown>>): string | undefined {
  const last = list.items.at(-1);
  const range = typeof last === 'object' && last !== null && 'range' in last ? (last.range as readonly number[] | undefined) : undefined;
  const start = list.range?.[0];
  if (range?.[1] === undefined || start === undefined) return undefined;
  const lineStart = text.lastIndexOf('\n', start - 1) + 1;
  // The end of a block node is the beginning of the next line; of others, within the last.
  const at = range[1] > 0 && text[range[1] - 1] === '\n' ? range[1] : Math.min(lineEnd(text, range[1]) + 1, text.length);
  return `${endLine(text.slice(0, at))}${render(item, start - lineStart)}${text.slice(at)}`;
}

function render(item: Readonly<Record<string, unknown>>, indent: number): string {
  const lines = stringify([item], { lineWidth: 0 }).replace(/\n$/, '').split('\n');
  return lines.map((line) => `${' '.repeat(indent)}${line}\n`).join('');
}

const endLine = (text: string): string => (text === '' || text.endsWith('\n') ? text : `${text}\n`);

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}
