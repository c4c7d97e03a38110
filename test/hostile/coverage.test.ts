/** What counts as a test of a row, and what fails the build. */
import { describe, expect, it } from 'vitest';
import { coverageOf, isKept, readExplanations, readRows, report } from './coverage.ts';
import { idsInDialog, idsInTests, idsOf } from './titles.ts';

describe('the ids of a title', () => {
  it.each([
    ['X91 what comes', ['X91']],
    ['X91: what comes', ['X91']],
    ['X91 X92 what comes', ['X91', 'X92']],
    ['X91', []],
    ['what comes (X91)', []],
    ['S256 is a method', []],
    ['x91 what comes', []],
  ])('are those of: %s', (title, ids) => {
    expect(idsOf(title)).toEqual(ids);
  });
});

describe('a file of tests tests a row', () => {
  it.each([
    ['in a title', `it('X91 a', () => 0)`],
    ['in a title of test', `test("X91 a", () => 0)`],
    ['in a title that goes on with a value', 'it(`X91 a ${1}`, () => 0)'],
    ['in the title of a describe with a test', `describe('X91 a', () => { it('b', () => 0) })`],
    ['in the title of a table', `it.each([1])('X91 %s', () => 0)`],
    ['where it runs here', `it.skipIf(no)('X91 a', () => 0)`],
    ['where its table runs here', `describe.runIf(yes).each([1])('X91 %s', () => { test('b', () => 0) })`],
    ['in a row of a table', `it.each([['X91 a', 1]])('%s', () => 0)`],
    ['in a named field of a table', `it.each([{ title: 'X91 a' }])('$title, and on', () => 0)`],
    ['in a table with a name', `const rows = [['X91 a', 1]] as const; it.for(rows)('%s', () => 0)`],
    ['in names of properties', `const rows = { 'X91 a': 1 }; it.each(Object.entries(rows))('%s', () => 0)`],
  ])('%s', (_where, text) => {
    expect(idsInTests(text)).toEqual(['X91']);
  });

  it.each([
    ['where it is skipped', `it.skip('X91 a', () => 0)`],
    ['where it is to be done', `it.todo('X91 a')`],
    ['in a describe without a test', `describe('X91 a', () => { const b = 1 })`],
    ['in a describe whose only test is skipped', `describe('X91 a', () => { it.skip('b', () => 0) })`],
    ['in a table whose rows are no titles', `it.each([['X91 a', 1]])('takes %s', () => 0)`],
    ['in a text', `const a = 'X91 a'; it('b', () => 0)`],
    ['in a comment', `// it('X91 a', () => 0)`],
    ['in a call of something else', `note('X91 a', () => 0)`],
  ])('not %s', (_where, text) => {
    expect(idsInTests(text)).toEqual([]);
  });

  it('in a table that another file of the tests holds', () => {
    const text = `import { rows } from './rows.ts'; it.each(rows)('%s', () => 0)`;
    expect(idsInTests(text, (name) => (name === './rows.ts' ? `export const rows = [['X91 a']];` : undefined))).toEqual(['X91']);
    expect(idsInTests(text)).toEqual([]);
  });

  it('in the title of a dialogue, and not in other comments', () => {
    expect(idsInDialog('# X91 X92 Bad things\n# X93 more\nS: 220\n')).toEqual(['X91', 'X92']);
    expect(idsInDialog('S: 220\n')).toEqual([]);
  });
});

const ROWS = readRows('id\tprotocol\tcomes\texpected\nX91\tSMTP\ta\tb\nX92\tSMTP\tc\td\n');
const tests = (...ids: string[]): Map<string, string[]> => new Map(ids.map((id) => [id, ['a.test.ts']]));

describe('the rows', () => {
  it('are all tested or explained', () => {
    const coverage = coverageOf(ROWS, readExplanations('id\tkind\treason\nX92\tcannot\tno such kernel\n'), tests('X91'));
    expect(report(coverage)).toEqual(['2 of 2 rows tested or explained', '  X92 cannot run here: no such kernel']);
    expect(isKept(coverage)).toBe(true);
  });

  it('that wait are told and not counted', () => {
    const coverage = coverageOf(ROWS, readExplanations('id\tkind\treason\nX92\twaits\tto be written\n'), tests('X91'));
    expect(report(coverage)).toEqual(['1 of 2 rows tested or explained', '  X92 waits for its test: to be written']);
    expect(isKept(coverage)).toBe(true);
  });

  it('fail where one has neither', () => {
    const coverage = coverageOf(ROWS, [], tests('X91'));
    expect(report(coverage)).toEqual(['1 of 2 rows tested or explained', '  X92 has no test (SMTP: c)']);
    expect(isKept(coverage)).toBe(false);
  });

  it.each([
    ['a test of a row that is none', '', ['X91', 'X92', 'X93'], 'X93 in a.test.ts is no row'],
    ['an explanation of a row that is none', 'X93\tcannot\tno\n', ['X91', 'X92'], 'X93 is explained, and is no row'],
    ['an explanation of a row with a test', 'X92\twaits\tno\n', ['X91', 'X92'], 'X92 is explained, and has a test in a.test.ts'],
  ])('fail with %s', (_what, explained, ids, fault) => {
    const coverage = coverageOf(ROWS, readExplanations(`id\tkind\treason\n${explained}`), tests(...ids));
    expect(coverage.faults).toEqual([fault]);
    expect(isKept(coverage)).toBe(false);
  });

  it.each([
    ['a column too few', () => readRows('h\nX91\tSMTP\ta\n'), 'not 4 columns'],
    ['an empty reason', () => readExplanations('h\nX91\tcannot\t \n'), 'not 3 columns'],
    ['an id twice', () => readRows('h\nX91\tSMTP\ta\tb\nX91\tSMTP\ta\tb\n'), 'X91 occurs twice'],
    ['another kind', () => readExplanations('h\nX91\tperhaps\ta\n'), 'neither cannot nor waits'],
  ])('are not read with %s', (_what, readIt, message) => {
    expect(readIt).toThrow(message);
  });
});
