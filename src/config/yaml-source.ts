/**
 * YAML text to plain values, with the line of each.
 *
 * Pure. Messages are ours, since those of the parser quote the file, and the file may hold secrets.
 *
 * Source: YAML 1.2.2, core schema: `off` and `no` are text.
 *
 * @packageDocumentation
 */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, visit, type YAMLError } from 'yaml';
import { type Findings, type Locate, type Path, showPath } from './findings.ts';

/** The values of a document; undefined where it could not be read, which `findings` then holds. */
export interface YamlSource {
  readonly value: unknown;
  readonly locate: Locate;
}

/** One mistake makes the parser stumble again and again; the first few are the ones to look at. */
const MOST_SYNTAX_PROBLEMS = 5;

const LOST_ALIAS = 'an alias (*) must name an anchor (&) above it; put text that starts with * in quotes';

const SYNTAX: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_ALIAS: LOST_ALIAS,
  BAD_DQ_ESCAPE: 'unknown escape in double quotes: write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'the indentation does not fit the lines around it',
  BAD_SCALAR_START: 'text cannot start with this character: put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'two keys on one line, or a missing quote or line break',
  BLOCK_IN_FLOW: 'a block cannot stand within [ ] or { }',
  DUPLICATE_KEY: 'this key stands twice in the same map',
  MISSING_CHAR: 'something is missing here: a closing quote or bracket, a colon, or the space after it',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line: a colon or a quote may be missing',
  MULTIPLE_DOCS: 'the file holds a second document (---); only one is allowed',
  TAB_AS_INDENT: 'tabs cannot indent in YAML: use spaces',
  UNEXPECTED_TOKEN: 'this is not expected here: a quote, bracket or comma may be missing or too many',
};

/** Parse a configuration file. Undefined where it is not YAML; `findings` then says why. */
export function parseYaml(text: string, findings: Findings): YamlSource | undefined {
  const lines = new LineCounter();
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
    for (const error of document.errors.slice(0, MOST_SYNTAX_PROBLEMS)) {
      findings.locateWith(() => ({ path: '', ...at(error.pos[0]) }));
      findings.problem([], `not valid YAML: ${SYNTAX[error.code] ?? error.code}`);
    }
    if (document.errors.length > 0) return undefined;
    if (reportLostAliases(document, at, findings)) return undefined;
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    return { value, locate: locator(document, at) };
  } catch (error) {
    // Too many aliases ("billion laughs") or too deep for the stack. The parser's words may quote the file; its kind of error does not.
    findings.problem([], `not valid YAML: too deep, or too many aliases (${error instanceof Error ? error.name : 'unknown'})`);
    return undefined;
  }
}

/** An alias without its anchor: the parser itself finds out only later, and then does not say where. */
function reportLostAliases(
  document: Document.Parsed,
  at: (offset: number) => { line: number; column: number },
  findings: Findings,
): boolean {
  let isLost = false;
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      isLost = true;
      findings.locateWith(() => ({ path: '', ...at(alias.range?.[0] ?? 0) }));
      findings.problem([], `not valid YAML: ${LOST_ALIAS}`);
    },
  });
  return isLost;
}

function locator(document: Document.Parsed, at: (offset: number) => { line: number; column: number }): Locate {
  return (path: Path) => {
    let node: unknown = document.contents;
    let offset = isNode(node) ? node.range?.[0] : undefined;
    for (const step of path) {
      const next = stepInto(isNode(node) ? resolve(node, document) : node, step);
      if (next === undefined) break;
      offset = next.offset ?? offset;
      node = next.value;
    }
    return offset === undefined ? { path: showPath(path) } : { path: showPath(path), ...at(offset) };
  };
}

const resolve = (node: Node, document: Document.Parsed): Node | undefined => (isAlias(node) ? node.resolve(document) : node);

/** The value under `step`, and where its key (or, in a list, itself) stands. */
function stepInto(node: unknown, step: string | number): { readonly value: unknown; readonly offset: number | undefined } | undefined {
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step];
    return isNode(item) ? { value: item, offset: item.range?.[0] } : undefined;
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
  return pair === undefined ? undefined : { value: pair.value, offset: isNode(pair.key) ? pair.key.range?.[0] : undefined };
}
