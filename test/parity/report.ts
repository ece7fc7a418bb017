/** The table of the parity tests, in Markdown; docs/parity.md is made of it. */
import { appendFileSync } from 'node:fs';

/** Cells by column. */
export type Row = Record<string, string>;

/** As in the table: three digits, or a plain 0. */
export function shown(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}

/** A part of one, in percent with as many digits as the limit of 99.99 % needs, never rounded up to 100. */
export function shownPercent(part: number): string {
  return part === 1 ? '100' : (Math.floor(part * 1e6) / 1e4).toFixed(4);
}

function toMarkdown(title: string, rows: readonly Row[]): string {
  const columns = Object.keys(rows[0]);
  const widths = columns.map((name) => Math.max(name.length, ...rows.map((row) => row[name].length)));
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return [
    `\n### ${title}\n`,
    line(columns),
    rule,
    ...rows.map((row) => line(columns.map((name) => row[name]))),
    '',
  ].join('\n');
}

/**
 * Prints a table where `npm run test:parity` runs, or SAM3_TRACKER_PARITY_TABLE is 1; where that variable is the name
 * of a file, appends it there.
 */
export function report(title: string, rows: readonly Row[]): void {
  const wanted = process.env.SAM3_TRACKER_PARITY_TABLE ?? '';
  if (rows.length === 0) return;
  if (wanted === '1' || process.env.npm_lifecycle_event === 'test:parity')
    process.stdout.write(`${toMarkdown(title, rows)}\n`);
  else if (wanted !== '') appendFileSync(wanted, `${toMarkdown(title, rows)}\n`);
}
