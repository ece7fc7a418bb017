/** What a part of the benchmark found, as tables in Markdown and as JSON. */
import type { Side } from './peer';
import type { Summary } from './statistics';

/** The largest resident sets (VmHWM) of a case by side, in MiB; null where a side has no part, or does not tell. */
export type PeakMemory = Record<Side, number | null>;

/** One case: what each side took for the same work. */
export interface CaseResult {
  name: string;
  unit: 'ms' | 's' | 'MiB';
  ours: Summary | null;
  /** null where this side has no such thing, or does not tell. */
  transformers: Summary | null;
  /** null for what ONNX Runtime has no part in. */
  onnxruntime: Summary | null;
  /** Whether all sides gave the same; null where there is nothing to compare. */
  agree: boolean | null;
  /** The largest differences by output, for people. */
  difference: string;
  /** The largest of a floating output from transformers', as a part of the output's scale; left out where there is none. */
  deviation?: number;
  /** While the case ran; left out where that was not watched. */
  peakMemory?: PeakMemory;
}

/** One bar that must be held. */
export interface Check {
  name: string;
  passed: boolean;
  /** What was found and what is wanted, for people. */
  found: string;
}

/** What a part found. */
export interface PartResult {
  title: string;
  cases: CaseResult[];
  checks: Check[];
  /** Further tables: cells by column. */
  tables: { title: string; rows: Record<string, string>[] }[];
}

/** Rows as a table in Markdown, aligned; the first column left, the others right. */
export function toMarkdown(rows: readonly Record<string, string>[]): string {
  const columns = Object.keys(rows[0]);
  const widths = columns.map((name) => Math.max(3, name.length, ...rows.map((row) => row[name].length)));
  const pad = (text: string, index: number): string =>
    index === 0 ? text.padEnd(widths[index]) : text.padStart(widths[index]);
  const line = (cells: readonly string[]): string => `| ${cells.map(pad).join(' | ')} |`;
  const rule = `| ${widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(columns), rule, ...rows.map((row) => line(columns.map((name) => row[name])))].join('\n');
}

/** Three significant digits, without an exponent. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();
}

/** Median, and the smallest and the largest in brackets; '-' for none. */
export function shownSummary(summary: Summary | null): string {
  if (!summary) return '-';
  const { median, min, max, runs } = summary;
  return runs === 1 ? shown(median) : `${shown(median)} (${shown(min)}-${shown(max)})`;
}

const shownRatio = (ours: Summary | null, other: Summary | null): string =>
  ours && other ? shown(ours.median / other.median) : '-';

function shownPeaks(peaks: PeakMemory | undefined): string {
  if (!peaks) return '-';
  return [peaks.ours, peaks.transformers, peaks.onnxruntime]
    .map((peak) => (peak === null ? '-' : shown(peak)))
    .join(' / ');
}

function caseRow(result: CaseResult): Record<string, string> {
  const { name, unit, ours, transformers, onnxruntime, agree, difference, peakMemory } = result;
  return {
    case: name,
    unit,
    ours: shownSummary(ours),
    transformers: shownSummary(transformers),
    onnxruntime: shownSummary(onnxruntime),
    'ours / transformers': shownRatio(ours, transformers),
    'ours / onnxruntime': shownRatio(ours, onnxruntime),
    runs: String(Math.max(ours?.runs ?? 0, transformers?.runs ?? 0)),
    'peak MiB of each side': shownPeaks(peakMemory),
    agree: agree === null ? '-' : agree ? 'yes' : 'NO',
    'largest difference (scale)': difference || '-',
  };
}

/** A part for people. Medians, with the smallest and the largest in brackets. */
export function partText({ title, cases, checks, tables }: PartResult): string {
  const sections = [`## ${title}`];
  if (cases.length) sections.push(toMarkdown(cases.map(caseRow)));
  for (const table of tables) sections.push(`### ${table.title}`, toMarkdown(table.rows));
  if (checks.length)
    sections.push(
      checks.map(({ name, passed, found }) => `- ${passed ? 'pass' : 'FAIL'}: ${name}: ${found}`).join('\n'),
    );
  return `${sections.join('\n\n')}\n`;
}

/** A case for programs: medians, null where a side cannot. */
export function caseJson(result: CaseResult): object {
  const { name, unit, ours, transformers, onnxruntime, agree, difference } = result;
  const { deviation = null, peakMemory = null } = result;
  const spread = (side: Summary | null): [number, number] | null => side && [side.min, side.max];
  return {
    name,
    unit,
    ours: ours?.median ?? null,
    transformers: transformers?.median ?? null,
    onnxruntime: onnxruntime?.median ?? null,
    agree,
    spread: {
      ours: spread(ours),
      transformers: spread(transformers),
      onnxruntime: spread(onnxruntime),
    },
    runs: {
      ours: ours?.runs ?? 0,
      transformers: transformers?.runs ?? 0,
      onnxruntime: onnxruntime?.runs ?? 0,
    },
    peakMemory,
    difference,
    deviation,
  };
}
