/** The benchmark: `npm run bench -- [parts...] [--quick] [--json FILE]`. Exit code 1 where a bar is missed. */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Argument, Command, InvalidArgumentError } from 'commander';
import { eventLoop } from './event-loop';
import { everything } from './everything';
import { contention } from './contention';
import { addon } from '../lib/native/binding';
import { fullSize } from './full-size';
import { gpu } from './gpu';
import { load } from './load';
import { busyCores, describeMachine } from './machine';
import { memory } from './memory';
import type { BenchOptions } from './options';
import type { Description } from './peer';
import { images } from './images';
import { caseJson, partText, shown, toMarkdown, type PartResult } from './report';
import { rle } from './rle';
import { withSides } from './sides';
import { small } from './small';

const PARTS: Record<string, (options: BenchOptions) => Promise<PartResult>> = {
  small,
  contention,
  images,
  rle,
  'event-loop': eventLoop,
  memory,
  everything,
  load,
  'full-size': fullSize,
  gpu,
};

/** What `--quick` runs where no part is named. */
const QUICK_PARTS = ['small', 'images', 'event-loop', 'memory'];

/** What it leaves out. */
const LONG_PARTS = Object.keys(PARTS).filter((part) => !QUICK_PARTS.includes(part));

/** Whether this machine has what a part needs: it runs all the same where it is named. */
const canRun = (part: string): boolean => part !== 'gpu' || addon().runtimeInfo().cudaDevices > 0;

/** Cores that others may keep busy before times count as disturbed. */
const QUIET_CORES = 0.2;

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be an integer above 0.');
  return value;
}

/** Hours of measuring must not end in a file that cannot be written. */
function writableFile(file: string): string {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be written (${(error as NodeJS.ErrnoException).code}).`);
  }
  return file;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printHead(
  machine: ReturnType<typeof describeMachine>,
  sides: Readonly<Record<string, Description>>,
  wanted: number,
): void {
  const { cpu, cores, memoryGiB, platform } = machine;
  print(`${new Date().toISOString().slice(0, 10)}, ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}\n`);
  const rows = Object.entries(sides).map(([side, { versions, threads }]) => ({
    side,
    threads: threads === null ? `${wanted} wanted` : String(threads),
    versions: Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  }));
  print(`${toMarkdown(rows)}\n`);
}

/** Other processes' share of the machine before and after a part, since times taken beside them are no measure. */
function busyNote([before, after]: readonly [number, number]): string {
  const note = `Cores kept busy by others: ${shown(before)} before this part, ${shown(after)} after it.`;
  return Math.max(before, after) > QUIET_CORES ? `${note} The times above are not to be trusted.` : note;
}

async function run(
  names: readonly string[],
  flags: { quick: boolean; runs?: number; threads: number; json?: string },
): Promise<boolean> {
  const parts = names.length
    ? [...new Set(names)]
    : flags.quick
      ? QUICK_PARTS
      : Object.keys(PARTS).filter(canRun);
  const machine = describeMachine();
  const others = parts.some((part) => part !== 'gpu') ? (['onnxruntime'] as const) : [];
  const sides = await withSides(flags.threads, (_, found) => Promise.resolve(found), others);
  printHead(machine, sides, flags.threads);
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-bench-'));
  // Also where a signal ends a run that takes minutes; the sides end when their input does.
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143));
  const results: (PartResult & { part: string; busyCores: readonly [number, number] })[] = [];
  for (const part of parts) {
    const before = await busyCores();
    const folder = path.join(scratch, part);
    mkdirSync(folder);
    const progress = (what: string): void => void process.stderr.write(`${part}: ${what} ...\n`);
    const { quick, threads, runs = null } = flags;
    const result = await PARTS[part]({ quick, runs, threads, scratch: folder, progress });
    const busy = [before, await busyCores()] as const;
    results.push({ ...result, part, busyCores: busy });
    print(`${partText(result)}\n${busyNote(busy)}\n`);
    // After each part, so that one that fails loses nothing of the others.
    if (flags.json === undefined) continue;
    const versions = Object.fromEntries(Object.entries(sides).map(([side, found]) => [side, found.versions]));
    const report = {
      machine,
      versions,
      threads: flags.threads,
      quick: flags.quick,
      cases: results.flatMap(({ part, cases }) => cases.map((one) => ({ part, ...caseJson(one) }))),
      checks: results.flatMap(({ part, checks }) => checks.map((check) => ({ part, ...check }))),
      tables: results.flatMap(({ part, tables }) => tables.map((table) => ({ part, ...table }))),
      busyCores: Object.fromEntries(results.map(({ part, busyCores: busy }) => [part, busy])),
    };
    await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  return results.every(({ checks }) => checks.every(({ passed }) => passed));
}

const command = new Command('bench')
  .description(
    'Compares sam3-tracker with transformers and ONNX Runtime on the same inputs, weights and threads, in turn.',
  )
  .addArgument(
    new Argument(
      '[parts...]',
      `what to run (default: all; gpu where there is one; with --quick all but ${LONG_PARTS.join(', ')})`,
    ).choices(Object.keys(PARTS)),
  )
  .option('--quick', 'fewer repetitions and points', false)
  .option(
    '--runs <n>',
    'repetitions of loads, of encodes in full size, of segment everything; of each call in small, images, rle and gpu',
    positiveInteger,
  )
  .option(
    '--threads <n>',
    'threads of one operation on every side',
    positiveInteger,
    os.availableParallelism(),
  )
  .option('--json <file>', 'write the results to a file, too', writableFile)
  .addHelpText(
    'after',
    '\nExit code: 0 where every bar is held, 1 where one is missed (FAIL) or nothing could be measured.',
  )
  .action(async (parts: string[], flags: Parameters<typeof run>[1]) => {
    process.exitCode = (await run(parts, flags)) ? 0 : 1;
  });

command.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
