/** Beside other busy processes, as on a shared server: clicks, 16 points and encodes, compared with transformers. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { makeCases } from './cases';
import { agreementChecks, compareCase } from './comparison';
import { makeFullSizeModel } from './full-size-model';
import type { BenchOptions } from './options';
import { shown, type CaseResult, type Check, type PartResult } from './report';
import { withSides } from './sides';
import { SMALL_MODEL } from './small';

/** How many processes keep a core busy each. */
const BUSY = [0, 1, 2];

const NAMES = ['one point to logits', '16 points to logits', 'encode one image'];

/** Most that ours may take beside one busy process, as a multiple of its time alone. */
const SLOWDOWN_LIMIT = 2.5;

async function besideBusyProcesses<T>(count: number, run: () => Promise<T>): Promise<T> {
  const busy = Array.from({ length: count }, () =>
    // It ends with this process, whatever ends that.
    spawn(
      process.execPath,
      [
        '-e',
        'process.stdin.resume().on("end", () => process.exit()); (function spin() { const end = Date.now() + 50; while (Date.now() < end); setImmediate(spin); })();',
      ],
      {
        stdio: ['pipe', 'ignore', 'inherit'],
      },
    ),
  );
  try {
    return await run();
  } finally {
    for (const child of busy) child.kill('SIGKILL');
  }
}

interface Model {
  name: string;
  directory: string;
  /** Runs of an encode, and of the others. */
  runs: [encode: number, other: number];
  /** Most of transformers' median and 95th percentile that ours may take. */
  limit: number;
}

async function compareModel(model: Model, options: BenchOptions): Promise<[CaseResult[], Check[]]> {
  const { threads, scratch, progress } = options;
  const { name: title, directory, limit } = model;
  const [encode, other] = model.runs;
  const list = await makeCases(directory, scratch, { encode, warmUpEncode: encode > 3, other });
  const found = new Map<string, CaseResult>();
  for (const busy of BUSY)
    await besideBusyProcesses(busy, () =>
      withSides(threads, async (sides) => {
        for (const side of sides) await side.call('load', { directory });
        for (const one of list.filter(({ name }) => NAMES.includes(name))) {
          const name = `${title}, ${one.name}, beside ${busy}`;
          progress(name);
          found.set(`${one.name} ${busy}`, {
            ...(await compareCase(sides, one, path.join(scratch, title))),
            name,
          });
        }
      }),
    );
  const checks: Check[] = [];
  for (const { name, ours, transformers } of found.values())
    for (const [what, ratio] of [
      ['median', ours!.median / transformers!.median],
      ['95th percentile', ours!.p95 / transformers!.p95],
    ] as const)
      checks.push({
        name: `${name}: ${what} at most ${limit} of transformers'`,
        passed: ratio <= limit,
        found: shown(ratio),
      });
  for (const name of NAMES) {
    const slowdown = found.get(`${name} 1`)!.ours!.median / found.get(`${name} 0`)!.ours!.median;
    checks.push({
      name: `${title}, ${name}: beside one at most ${SLOWDOWN_LIMIT} times alone`,
      passed: slowdown <= SLOWDOWN_LIMIT,
      found: shown(slowdown),
    });
  }
  return [[...found.values()], checks];
}

/** Medians and 95th percentiles beside 0, 1 and 2 busy processes. */
export async function contention(options: BenchOptions): Promise<PartResult> {
  const { quick, runs } = options;
  const models: Model[] = [
    { name: 'bundled model', directory: SMALL_MODEL, runs: [runs ?? 20, runs ?? 40], limit: 0.6 },
  ];
  if (!quick)
    models.push({
      name: 'full size',
      directory: await makeFullSizeModel(),
      runs: [1, runs ?? 20],
      limit: 0.3,
    });
  const cases: CaseResult[] = [];
  const checks: Check[] = [];
  for (const model of models) {
    const [some, theirs] = await compareModel(model, options);
    cases.push(...some);
    checks.push(...theirs);
  }
  const rows = cases.map(({ name, ours, transformers }) => ({
    case: name,
    'ours, ms': `${shown(ours!.median)} (${shown(ours!.p95)})`,
    'transformers, ms': `${shown(transformers!.median)} (${shown(transformers!.p95)})`,
    ratio: shown(ours!.median / transformers!.median),
  }));
  return {
    title: 'Beside busy processes',
    cases,
    checks: [...agreementChecks(cases), ...checks],
    tables: [{ title: 'Median (95th percentile)', rows }],
  };
}
