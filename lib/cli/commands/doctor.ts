/** What `sam3-tracker doctor` finds out. Every step may fail: its error is a finding, and the others go on. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { LibtorchPlace } from '../../native/libtorch';
import { systemLibc } from '../../native/diagnosis';
import type { NativeRuntimeInfo } from '../../native/binding';
import { chooseLibtorch, findAddon, libtorchNotFound, openLibtorchLoader } from '../../native/load';
import { PACKAGE_MANIFEST, PACKAGE_ROOT } from '../../core/package';
import type { SelfTestResult, runSelfTest } from './self-test';

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
export async function examine(): Promise<DoctorReport> {
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
    // Loads libtorch, which has to wait until it is known that there is one.
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- see above
    const run = require('./self-test') as { runSelfTest: typeof runSelfTest };
    const { runtime, results } = await run.runSelfTest();
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
