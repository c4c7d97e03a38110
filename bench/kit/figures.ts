/**
 * Medians with their spread, ratios of what was measured side by side, and how both are printed.
 */

/** Of one system in one round, by the name of the figure. */
export type Measured = Readonly<Record<string, number>>;

export const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
};

/** What several rounds found. */
export class Figures {
  readonly #rounds = new Map<string, Measured[]>();

  add(system: string, measured: Measured): void {
    const rounds = this.#rounds.get(system) ?? [];
    rounds.push(measured);
    this.#rounds.set(system, rounds);
  }

  get systems(): string[] {
    return [...this.#rounds.keys()];
  }

  /** All that was found for a figure, in the order of the rounds. */
  of(system: string, figure: string): number[] {
    return (this.#rounds.get(system) ?? []).flatMap((measured) => measured[figure] ?? []);
  }

  median(system: string, figure: string): number {
    return median(this.of(system, figure));
  }

  /** Of one system to another, round by round: both were measured within seconds. */
  ratios(system: string, other: string, figure: string): number[] {
    const others = this.of(other, figure);
    return this.of(system, figure).map((value, round) => value / (others[round] ?? Number.NaN));
  }

  /** A line for each system, a column for each figure. */
  print(): void {
    const names = [...new Set([...this.#rounds.values()].flat().flatMap((measured) => Object.keys(measured)))];
    const rows = [['', ...names], ...this.systems.map((system) => [system, ...names.map((figure) => spread(this.of(system, figure)))])];
    const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
    for (const row of rows)
      console.log(
        `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('   ')}`,
      );
  }
}

/** `median (least to most)`. */
export function spread(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return values.length === 1 || least === most ? show(median(values)) : `${show(median(values))} (${show(least)} to ${show(most)})`;
}

/** Three digits that count. */
export const show = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString());

/** A line of the table in docs/performance.md. @param values - Of each round. */
export function verdict(what: string, values: readonly number[], reach: { readonly atMost?: number; readonly atLeast?: number }): void {
  const found = median(values);
  const isMet = (reach.atMost === undefined || found <= reach.atMost) && (reach.atLeast === undefined || found >= reach.atLeast);
  const limit = reach.atMost === undefined ? `≥ ${reach.atLeast}` : `≤ ${reach.atMost}`;
  console.log(`  ${isMet ? 'reached    ' : 'NOT REACHED'} ${what}: ${spread(values)}, reach ${limit}`);
}
