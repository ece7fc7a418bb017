/** `sam3-tracker doctor`: examines an installation. Every step may fail: its error is a finding, and the others go on. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { describePlace, type LibtorchPlace } from '../../native/libtorch';
import { systemLibc } from '../../native/diagnosis';
import type { NativeRuntimeInfo } from '../../native/binding';
import { chooseLibtorch, findAddon, libtorchNotFound, openLibtorchLoader } from '../../native/load';
import { PACKAGE_MANIFEST, PACKAGE_ROOT } from '../../core/package';
import type { CommandContext } from '../io';
import { runSelfTest, type SelfTestResult } from './self-test';

const HELP = `
Its output belongs into every issue report. It tells nothing of your images; paths of this machine are in it.

Exit codes: 0 everything works; 1 something does not.
`;

/** One GPU as nvidia-smi describes it. */
export interface Gpu {
  name: string;
  memoryMiB: number;
  /** As '9.0'. */
  computeCapability: string;
  driver: string;
}

/** The report: `sam3-tracker doctor --json` prints it as it is. */
export interface DoctorReport {
  package: { version: string; directory: string };
  system: {
    node: string;
    platform: string;
    arch: string;
    libc: string;
    cpus: number;
    cpu: string;
    memoryMiB: number;
  };
  /** null where there is no binary for this system. */
  addon: { file: string; origin: 'prebuilt' | 'built'; builtFor: string } | null;
  libtorch: { chosen: LibtorchPlace | null; places: LibtorchPlace[] };
  /** null where the addon does not load. */
  runtime: NativeRuntimeInfo | null;
  gpus: Gpu[];
  /** Why there are no GPUs, or why they are not used; else empty. */
  gpuNote: string;
  models: { id: string; hasWeights: boolean }[];
  selfTest: SelfTestResult[];
  /** Empty where everything works. */
  problems: string[];
}

/** GPUs that the driver shows. */
export function listGpus(): { gpus: Gpu[]; note: string } {
  const query = ['--query-gpu=name,memory.total,compute_cap,driver_version', '--format=csv,noheader,nounits'];
  const { error, status, stdout, stderr } = spawnSync('nvidia-smi', query, {
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (error) return { gpus: [], note: 'nvidia-smi is not there' };
  if (status !== 0) return { gpus: [], note: `nvidia-smi says: ${(stdout + stderr).trim().split('\n')[0]}` };
  const gpus = stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name, memory, computeCapability, driver] = line.split(', ');
      return { name, memoryMiB: Number(memory), computeCapability, driver };
    });
  return { gpus, note: gpus.length > 0 ? '' : 'nvidia-smi lists none' };
}

function listModels(): DoctorReport['models'] {
  const directory = path.join(PACKAGE_ROOT, 'models');
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({
      id: name,
      hasWeights: existsSync(path.join(directory, name, 'model.safetensors')),
    }));
}

function describeSystem(): DoctorReport['system'] {
  const { family, version } = systemLibc();
  const cpus = os.cpus();
  return {
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    libc: family === null ? 'no libc of Linux' : `${family}${version === null ? '' : ` ${version}`}`,
    cpus: os.availableParallelism(),
    cpu: cpus[0]?.model ?? 'unknown',
    memoryMiB: Math.round(os.totalmem() / 2 ** 20),
  };
}

/** Examines this installation. */
async function examine(): Promise<DoctorReport> {
  const { gpus, note } = listGpus();
  const report: DoctorReport = {
    package: { version: PACKAGE_MANIFEST.version, directory: PACKAGE_ROOT },
    system: describeSystem(),
    addon: null,
    libtorch: { chosen: null, places: [] },
    runtime: null,
    gpus,
    gpuNote: note,
    models: listModels(),
    selfTest: [],
    problems: [],
  };
  try {
    const files = findAddon();
    const loader = openLibtorchLoader(files);
    report.addon = { file: files.addon, origin: files.origin, builtFor: loader.builtFor };
    report.libtorch = chooseLibtorch(files, loader);
    if (report.libtorch.chosen === null) throw libtorchNotFound(report.libtorch, loader.builtFor);
    const { runtime, results } = await runSelfTest();
    report.runtime = runtime;
    report.selfTest = results;
    for (const { device, problem } of results)
      if (problem !== null) report.problems.push(`The self-test failed on ${device}: ${problem}`);
  } catch (error) {
    report.problems.push((error as Error).message);
  }
  if (gpus.length > 0 && report.libtorch.chosen?.build === 'cpu')
    report.gpuNote =
      'there are GPUs, and this libtorch is the CPU build: sam3-tracker libtorch install --cuda';
  if (gpus.length > 0 && report.libtorch.chosen?.build === 'cuda' && report.runtime?.cudaDevices === 0)
    report.problems.push(
      'The driver shows GPUs and libtorch can use none of them: the driver may be too old for this CUDA build.',
    );
  return report;
}

/** A report as the command prints it. */
export function doctorText(report: DoctorReport): string {
  const lines: string[] = [];
  const add = (name: string, value: string): void => {
    lines.push(
      `${(name === '' ? '' : `${name}:`).padEnd(14)}${value.replaceAll('\n', `\n${' '.repeat(14)}`)}`,
    );
  };
  const { system, libtorch, runtime, selfTest } = report;
  add('sam3-tracker', `${report.package.version} in ${report.package.directory}`);
  add(
    'Node',
    `${system.node}, ${system.platform}-${system.arch}, ${system.libc}, ${system.cpus} CPUs (${system.cpu})`,
  );
  add(
    'addon',
    report.addon
      ? `${report.addon.file} (${report.addon.origin}, for libtorch ${report.addon.builtFor})`
      : 'none',
  );
  if (libtorch.chosen) {
    const { chosen } = libtorch;
    add(
      'libtorch',
      `${chosen.version ?? 'unknown version'}, ${chosen.build === 'cuda' ? 'CUDA' : 'CPU'} build, in ${chosen.directory}`,
    );
    add('', `by ${chosen.source}`);
  } else add('libtorch', ['none', ...libtorch.places.map((place) => `- ${describePlace(place)}`)].join('\n'));
  if (runtime) {
    const capability = `CPU capability ${runtime.cpuCapability}`;
    add('threads', `${runtime.threads} for one operation, ${capability}`);
    const devices = `${runtime.cudaDevices} usable by libtorch`;
    add(
      'CUDA devices',
      libtorch.chosen?.build === 'cuda' && runtime.cudaDevices === 0
        ? `${devices}: a CUDA build without a GPU`
        : devices,
    );
  }
  const gpus = report.gpus.map(
    (gpu) =>
      `${gpu.name}, ${gpu.memoryMiB} MiB, compute capability ${gpu.computeCapability}, driver ${gpu.driver}`,
  );
  if (gpus.length === 0) gpus.push(`none (${report.gpuNote})`);
  else if (report.gpuNote !== '') gpus.push(`note: ${report.gpuNote}`);
  add('GPUs', gpus.join('\n'));
  add(
    'models',
    report.models.length > 0
      ? report.models.map(({ id, hasWeights }) => `${id}${hasWeights ? '' : ' (graphs only)'}`).join('\n')
      : 'none',
  );
  for (const { device, problem, milliseconds } of selfTest)
    add('self-test', `${device}: ${problem ?? `a click was segmented as expected in ${milliseconds} ms`}`);
  for (const problem of report.problems) add('PROBLEM', problem);
  lines.push(report.problems.length === 0 ? 'Everything works.' : 'Something does not work: see PROBLEM.');
  return `${lines.join('\n')}\n`;
}

/** The command. */
export function doctorCommand({ output, finish }: CommandContext): Command {
  return new Command('doctor')
    .summary('check this installation')
    .description(
      'Checks this installation: Node, the addon, libtorch, GPUs, models, and a small run of the model.',
    )
    .option('--json', 'the report as JSON', false)
    .addHelpText('after', HELP)
    .action(async ({ json }: { json: boolean }) => {
      const report = await examine();
      output.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : doctorText(report));
      finish(report.problems.length === 0 ? 0 : 1);
    });
}
