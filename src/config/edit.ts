/**
 * Adds accounts and clients to the text of a configuration, and changes values of them: comments, order and spelling of everything else stay as they are.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { isMap, isScalar, isSeq, type Pair, parse, parseDocument, stringify, type YAMLMap, type YAMLSeq } from 'yaml';

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

/** A key of an item, below other keys where there are several, and what it is to be. */
export type ItemChange = readonly [path: readonly string[], value: string];

/**
 * The text with other values in the item of `section` that has the name; undefined where that has to be done by hand: there is no such item or more than one, or what is to
 * be changed is an alias, a block of text, or not a text at all. Nothing but these values is touched; a key that is not there is put behind another of its map.
 */
export function editItem(text: string, section: ListSection, name: string, changes: readonly ItemChange[]): string | undefined {
  return changes.reduce<string | undefined>(
    (edited, change) => (edited === undefined ? undefined : changeOne(edited, section, name, change)),
    text,
  );
}

function changeOne(text: string, section: ListSection, name: string, [path, value]: ItemChange): string | undefined {
  const document = parseDocument(text, { logLevel: 'error' });
  const list = document.errors.length > 0 ? undefined : document.get(section);
  const named = isSeq(list) ? list.items.filter((item) => isMap(item) && item.get('name') === name) : [];
  let map: unknown = named.length === 1 ? named[0] : undefined;
  for (const key of path.slice(0, -1)) map = isMap(map) ? map.get(key, true) : undefined;
  const key = path.at(-1);
  if (!isMap(map) || key === undefined) return undefined;
  const pair = map.items.find((one) => isScalar(one.key) && one.key.value === key);
  return pair === undefined ? addKey(text, map, key, value) : replaceValue(text, pair.value, value);
}

function replaceValue(text: string, node: unknown, value: string): string | undefined {
  const range = singleLine(text, node);
  return range === undefined ? undefined : `${text.slice(0, range[0])}${renderText(value)}${text.slice(range[1])}`;
}

/** Behind the last key whose value stands in one line. */
function addKey(text: string, map: YAMLMap, key: string, value: string): string | undefined {
  const pair = map.items.findLast((one) => singleLine(text, one.value) !== undefined);
  const range = singleLine(text, pair?.value);
  const start = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  if (range === undefined || start === undefined) return undefined;
  const added = `${key}: ${renderText(value)}`;
  if (map.flow === true) return `${text.slice(0, range[1])}, ${added}${text.slice(range[1])}`;
  const end = lineEnd(text, range[1]);
  const indent = start - (text.lastIndexOf('\n', start - 1) + 1);
  return `${text.slice(0, end)}\n${' '.repeat(indent)}${added}${text.slice(end)}`;
}

/** Where a text, a number or the like stands; undefined for what is none, is empty, has a name of its own, or goes over several lines. */
function singleLine(text: string, node: unknown): readonly [number, number] | undefined {
  if (!isScalar(node) || node.anchor !== undefined || node.tag !== undefined || node.range === undefined || node.range === null)
    return undefined;
  const [from, to] = node.range;
  return from === to || text.slice(from, to).includes('\n') ? undefined : [from, to];
}

/** In quotes, unless it is a plain word in any place. */
function renderText(value: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9._@-]*$/.test(value) && parse(value) === value ? value : JSON.stringify(value);
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
