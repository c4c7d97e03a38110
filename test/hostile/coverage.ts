/**
 * How many rows of `rows.tsv` have a test, and what has gone apart: rows without one, ids that are no row, explanations that nobody needs any more.
 *
 * @packageDocumentation
 */

/** One bad input or fault, with what is expected of the relay. */
export interface Row {
  readonly id: string;
  readonly protocol: string;
  readonly comes: string;
  readonly expected: string;
}

/** Why a row has no test: it cannot run where the suite runs, which counts as explained, or its test waits to be written, which does not. */
export interface Explanation {
  readonly id: string;
  readonly kind: 'cannot' | 'waits';
  readonly reason: string;
}

export interface Coverage {
  readonly rows: number;
  readonly tested: readonly string[];
  readonly explained: readonly Explanation[];
  /** Rows whose test is still to be written, said so; not counted, shown each time. */
  readonly waiting: readonly Explanation[];
  /** Rows with neither a test nor a word. */
  readonly missing: readonly Row[];
  /** What else is wrong, in sentences. */
  readonly faults: readonly string[];
}

/** @throws Error where a line has not four columns, or an id occurs twice. */
export function readRows(text: string): readonly Row[] {
  return columns(text, 4).map(([id = '', protocol = '', comes = '', expected = '']) => ({ id, protocol, comes, expected }));
}

/** @throws Error where a line has not three columns, an id occurs twice, the kind is unknown or the reason empty. */
export function readExplanations(text: string): readonly Explanation[] {
  return columns(text, 3).map(([id = '', kind, reason = '']) => {
    if (kind !== 'cannot' && kind !== 'waits') throw new Error(`${id}: "${kind}" is neither cannot nor waits`);
    return { id, kind, reason };
  });
}

/**
 * @param tested - Ids in the titles of tests, with the files they are in.
 */
export function coverageOf(
  rows: readonly Row[],
  explanations: readonly Explanation[],
  tested: ReadonlyMap<string, readonly string[]>,
): Coverage {
  const known = new Set(rows.map(({ id }) => id));
  const spoken = new Set(explanations.map(({ id }) => id));
  const faults = [
    ...[...tested].filter(([id]) => !known.has(id)).map(([id, files]) => `${id} in ${files.join(', ')} is no row`),
    ...explanations.filter(({ id }) => !known.has(id)).map(({ id }) => `${id} is explained, and is no row`),
    ...explanations.flatMap(({ id }) => {
      const files = tested.get(id);
      return files === undefined ? [] : [`${id} is explained, and has a test in ${files.join(', ')}`];
    }),
  ];
  return {
    rows: rows.length,
    tested: rows.map(({ id }) => id).filter((id) => tested.has(id)),
    explained: explanations.filter(({ kind }) => kind === 'cannot'),
    waiting: explanations.filter(({ kind }) => kind === 'waits'),
    missing: rows.filter(({ id }) => !tested.has(id) && !spoken.has(id)),
    faults,
  };
}

/** The lines to print; the first one is the count. */
export function report(coverage: Coverage): readonly string[] {
  const { rows, tested, explained, waiting, missing, faults } = coverage;
  return [
    `${tested.length + explained.length} of ${rows} rows tested or explained`,
    ...explained.map(({ id, reason }) => `  ${id} cannot run here: ${reason}`),
    ...waiting.map(({ id, reason }) => `  ${id} waits for its test: ${reason}`),
    ...missing.map(({ id, protocol, comes }) => `  ${id} has no test (${protocol}: ${comes})`),
    ...faults.map((fault) => `  ${fault}`),
  ];
}

/** Whether nothing is missing and nothing wrong; rows that wait are said, and do not fail. */
export function isKept({ missing, faults }: Coverage): boolean {
  return missing.length === 0 && faults.length === 0;
}

/** The lines behind the heading, in columns. */
function columns(text: string, count: number): readonly (readonly string[])[] {
  const seen = new Set<string>();
  const [, ...lines] = text.split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const cells = line.split('\t');
      const [id = ''] = cells;
      if (cells.length !== count || cells.some((cell) => cell.trim() === '')) throw new Error(`not ${count} columns: ${line}`);
      if (seen.has(id)) throw new Error(`${id} occurs twice`);
      seen.add(id);
      return cells;
    });
}
