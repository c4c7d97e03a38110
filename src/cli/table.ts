/**
 * Text for a terminal: aligned columns, and nothing in it that the terminal could take for an order.
 *
 * Pure.
 *
 * @packageDocumentation
 */

/** Columns as wide as their widest cell; the last one as it comes. A line that would only be padded is not. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)));
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** One line: controls (ESC among them), line separators and marks that turn the direction of text become `?`; a tab becomes a space. */
export function printable(text: string): string {
  return text.replaceAll('\t', ' ').replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?');
}
