#!/usr/bin/env node
/** The command-line tool. Exit codes: 0 all went well, 1 something failed, 2 the command line is wrong. */
// First: it refuses a Node that is too old for what the others load.
import { PACKAGE_MANIFEST } from '../core/package';
import { inspect } from 'node:util';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { Sam3TrackerError } from '../core/errors';
import { doctorCommand } from './commands/doctor';
import { downloadCommand } from './commands/download';
import { exportCommand } from './commands/export';
import { generateCommand } from './commands/generate';
import { inspectCommand } from './commands/inspect';
import { libtorchCommand } from './commands/libtorch';
import { segmentCommand } from './commands/segment';
import { verifyCommand } from './commands/verify';
import { isError } from '../core/kinds';
import { commandOutput, type CommandContext, type Input, type Output } from './io';
import { messageOf } from './text';

const COMMANDS = [
  segmentCommand,
  generateCommand,
  downloadCommand,
  inspectCommand,
  verifyCommand,
  exportCommand,
  libtorchCommand,
  doctorCommand,
];

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

function describeError(error: unknown, debug: boolean): string {
  if (!isError(error)) return String(error);
  if (debug) return inspect(error);
  // A list of places is read more easily as one.
  if (error instanceof Sam3TrackerError && error.code === 'LIBTORCH_NOT_FOUND') return error.message;
  return messageOf(error).replaceAll(/\s*\n\s*/g, ' ');
}

const PREFIX = 'sam3-tracker: ';

/** The program with all its commands, whose text goes to `output` and whose ends are thrown. */
function assemble(context: CommandContext): Command {
  const { stdout, stderr } = context.output;
  const program = new Command('sam3-tracker')
    .description('Promptable segmentation with SAM3 Tracker.')
    .version(PACKAGE_MANIFEST.version);
  for (const make of COMMANDS) program.addCommand(make(context));
  const prepare = (command: Command): void => {
    command.exitOverride().configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(text.replace(/^(?:error: )?/, PREFIX)),
    });
    command.commands.forEach(prepare);
  };
  prepare(program);
  return program;
}

/**
 * Runs the tool.
 *
 * @param argv the arguments after the name of the program.
 * @param streams where text goes; default the process's own streams.
 * @param input what `-` reads; default the process's own.
 * @returns the exit code.
 */
export async function main(
  argv: readonly string[],
  streams: Output = process,
  input: Input = process.stdin,
): Promise<number> {
  let code = 0;
  const output = commandOutput(streams);
  const report = (error: unknown, debug: boolean): void => {
    output.stderr.write(`${PREFIX}${describeError(error, debug)}\n`);
  };
  const program = assemble({ output, input, report, finish: (status) => (code = status) });
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      report(
        error,
        program.commands.some((command) => command.opts<{ debug?: boolean }>().debug),
      );
      return EXIT_FAILED;
    }
    if (error.exitCode === 0) return 0;
    // Commander has printed its own errors; those of the commands' own checks reach here unprinted.
    if (error instanceof InvalidArgumentError) report(error, false);
    return EXIT_USAGE;
  }
  return code;
}

/**
 * Lets work that is under way finish where nobody takes what it prints: files are written all the same. A reader that stops
 * early (head) is no failure of ours; a full disk is.
 */
function endQuietlyOnBrokenStreams(fail: () => void): void {
  let isReported = false;
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isReported) return;
    isReported = true;
    fail();
    process.stderr.write(`${PREFIX}Standard output cannot be written: ${error.message}.\n`);
  });
}

if (require.main === module) {
  let isBroken = false;
  endQuietlyOnBrokenStreams(() => {
    isBroken = true;
    process.exitCode ||= EXIT_FAILED;
  });
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = code || (isBroken ? EXIT_FAILED : 0);
  });
}
