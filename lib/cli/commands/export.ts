/** `sam3-tracker export`: runs the Python exporter that comes with the package. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { Sam3TrackerError } from '../../core/errors';
import { PACKAGE_ROOT } from '../../core/package';
import type { CommandContext, Output } from '../io';
import { linesOf } from '../text';

function findPython(): string {
  const named = process.env.SAM3_TRACKER_PYTHON;
  if (named) return named;
  const own = path.join(PACKAGE_ROOT, '.venv', 'bin', 'python');
  return existsSync(own) ? own : 'python3';
}

const REQUIREMENTS = path.join(PACKAGE_ROOT, 'scripts', 'requirements.txt');

/** The packages that the exporter needs. */
function packages(): string {
  const lines = readFileSync(REQUIREMENTS, 'utf8').split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('#')).join(', ');
}

/**
 * Runs the exporter with these arguments, its text on our streams.
 *
 * @returns its exit code: 0, 1 for an export that failed, 2 for a wrong command line.
 * @throws Sam3TrackerError FILE_NOT_FOUND where there is no Python.
 */
async function runExporter(args: readonly string[], output: Output): Promise<number> {
  const python = findPython();
  const script = path.join(PACKAGE_ROOT, 'scripts', 'export_model.py');
  const child = spawn(python, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.stdout.write(linesOf(text)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => output.stderr.write(linesOf(text)));
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return code ?? 1;
  } catch (cause) {
    throw new Sam3TrackerError(
      'FILE_NOT_FOUND',
      `The exporter needs Python 3.10 or later, and ${python} cannot be run: ${(cause as Error).message}. Install it, ` +
        `or set SAM3_TRACKER_PYTHON; then "pip install -r ${REQUIREMENTS}" (${packages()}).`,
      { cause },
    );
  }
}

/** The command. */
export function exportCommand({ output, finish }: CommandContext): Command {
  return new Command('export')
    .summary('make the graphs of a checkpoint of another configuration (needs Python)')
    .description(
      'Runs the exporter, scripts/export_model.py, with the options given. It needs Python 3.10 or later with the ' +
        'packages of scripts/requirements.txt: SAM3_TRACKER_PYTHON names one, else .venv of the checkout, else python3.',
    )
    .argument('[options...]', 'those of the exporter: see sam3-tracker export --help')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (_: string[], __: object, self: Command) => {
      finish(await runExporter(self.args, output));
    });
}
