/**
 * Which rows of `rows.tsv` a test file says it tests.
 *
 * The convention: ids stand at the start of the title of an `it`, `test` or `describe` (`it('F01 F02 content that …')`). Where that title begins with a place
 * holder (`%s`, `$title`), the table of its `.each` or `.for` is read instead: each text in it, or name of a property, that begins with ids. A dialogue
 * (`*.dialog`) has them at the start of its first comment, which is its title.
 *
 * What never runs does not count: `skip`, `todo`, a `describe` without a test.
 *
 * @packageDocumentation
 */
import ts from 'typescript';

const IDS = /^[A-Z]\d{2}(?: [A-Z]\d{2})*(?=:? \S)/;
const TITLED = new Set(['it', 'test', 'describe']);
const TABLES = new Set(['each', 'for']);
const CONDITIONS = new Set(['skipIf', 'runIf']);

/** The ids at the start of a title; none where it does not begin with one. */
export function idsOf(title: string): readonly string[] {
  return IDS.exec(title)?.[0].split(' ') ?? [];
}

/** The ids in the title of a dialogue file. */
export function idsInDialog(text: string): readonly string[] {
  const title = text.split('\n').find((line) => line.startsWith('# '));
  return title === undefined ? [] : idsOf(title.slice(2));
}

/** The text of a module that a file of tests imports by a relative name; undefined where there is none. */
export type OpenModule = (specifier: string) => string | undefined;

/** The ids in the titles of a file of tests. */
export function idsInTests(text: string, open: OpenModule = () => undefined): readonly string[] {
  const source = parse(text);
  const ids = new Set<string>();
  const visit = (node: ts.Node): void => {
    for (const title of titlesOf(node, source, open)) for (const id of idsOf(title)) ids.add(id);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return [...ids];
}

const parse = (text: string): ts.SourceFile => ts.createSourceFile('a.test.ts', text, ts.ScriptTarget.Latest, true);

/** What a call of `it`, `test`, `describe` is called, once for each row of its table. */
function titlesOf(node: ts.Node, source: ts.SourceFile, open: OpenModule): readonly string[] {
  const call = titledCall(node);
  if (call === undefined) return [];
  if (call.name === 'describe' && !containsTest(call.node)) return [];
  const [title] = call.node.arguments;
  const text = title === undefined ? undefined : textOf(title);
  if (text === undefined) return [];
  if (!/^(?:%|\$)/.test(text) || call.table === undefined) return [text];
  return textsIn(call.table, source, open);
}

interface TitledCall {
  readonly name: string;
  readonly node: ts.CallExpression;
  readonly table?: ts.Expression;
}

/** A call that gives a title: `it(…)`, `it.each(…)(…)`, `describe.skipIf(…)(…)`; not the `it.each(…)` within. */
function titledCall(node: ts.Node): TitledCall | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  if (ts.isPropertyAccessExpression(node.expression) && isModifierCall(node.expression.name.text)) return undefined;
  let table: ts.Expression | undefined;
  let callee: ts.Expression = node.expression;
  for (;;) {
    if (ts.isIdentifier(callee)) break;
    if (ts.isPropertyAccessExpression(callee)) {
      if (callee.name.text === 'skip' || callee.name.text === 'todo') return undefined;
      callee = callee.expression;
    } else if (ts.isCallExpression(callee)) {
      if (ts.isPropertyAccessExpression(callee.expression) && TABLES.has(callee.expression.name.text)) table = callee.arguments[0];
      callee = callee.expression;
    } else return undefined;
  }
  if (!TITLED.has(callee.text)) return undefined;
  return { name: callee.text, node, ...(table === undefined ? {} : { table }) };
}

function isModifierCall(name: string): boolean {
  return TABLES.has(name) || CONDITIONS.has(name);
}

function containsTest(node: ts.Node): boolean {
  return (
    ts.forEachChild(node, (child) => {
      const call = titledCall(child);
      return (call !== undefined && call.name !== 'describe') || containsTest(child) || undefined;
    }) ?? false
  );
}

/** A literal text, or the beginning of a template. */
function textOf(expression: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(expression)) return expression.text;
  return ts.isTemplateExpression(expression) ? expression.head.text : undefined;
}

/** Every text and property name in an expression, and in the variables that it names, of this file or of a module that it imports. */
function textsIn(table: ts.Expression, source: ts.SourceFile, open: OpenModule): readonly string[] {
  const texts: string[] = [];
  const followed = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) texts.push(node.text);
    if (ts.isTemplateExpression(node)) texts.push(node.head.text);
    if (ts.isIdentifier(node) && !followed.has(node.text)) {
      followed.add(node.text);
      const value = valueOf(node.text, source) ?? importedValue(node.text, source, open);
      if (value !== undefined) visit(value);
    }
    ts.forEachChild(node, visit);
  };
  visit(table);
  return texts;
}

function valueOf(name: string, source: ts.SourceFile): ts.Expression | undefined {
  let value: ts.Expression | undefined;
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.name.text === name) value ??= node.initializer;
    ts.forEachChild(node, visit);
  };
  visit(source);
  return value;
}

function importedValue(name: string, source: ts.SourceFile, open: OpenModule): ts.Expression | undefined {
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    const bindings = statement.importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings) || !bindings.elements.some((each) => each.name.text === name)) continue;
    const text = statement.moduleSpecifier.text.startsWith('.') ? open(statement.moduleSpecifier.text) : undefined;
    return text === undefined ? undefined : valueOf(name, parse(text));
  }
  return undefined;
}
