/** `sam3-tracker doctor` as the command line knows it: the report as text or JSON. */
import { Command } from 'commander';
import { describePlace } from '../../native/libtorch';
import { examine } from './doctor';
import type { DoctorReport } from './doctor';
import type { Output } from '../output';

const HELP = `
Its output belongs into every issue report. It tells nothing of your pictures; paths of this machine are in it.

Exit codes: 0 everything works; 1 something does not.
`;

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

/**
 * The command.
 *
 * @param output where text goes.
 * @param finish takes whether everything works.
 */
export function doctorCommand(output: Output, finish: (isWell: boolean) => void): Command {
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
      finish(report.problems.length === 0);
    });
}
