/** `sam3-tracker libtorch`: which one is used and why, and a way to get one. */
import path from 'node:path';
import { Command } from 'commander';
import { describePlace, hasNvidiaDriver, installDirectory } from '../../native/libtorch';
import { chooseLibtorch, findAddon, libtorchNotFound, openLibtorchLoader } from '../../native/load';
import { installLibtorch } from './libtorch-install';
import type { CommandContext, CommandOutput, Output } from '../io';

const HELP = `
libtorch is PyTorch's C++ library, which computes. The first of these that fits is used:
  1. the directory that SAM3_TRACKER_LIBTORCH names, and then no other
  2. the directory that LIBTORCH names
  3. in a checkout, the libtorch that the addon was built with
  4. what "sam3-tracker libtorch install" has fetched
  5. the torch of the python3 on PATH
`;

const INSTALL_HELP = `
Python and pip fetch PyTorch's own wheels (pip's configuration holds: indexes, proxies, certificates) and check their
hashes. A run that was interrupted goes on with the files that it has. The directory can be copied to servers that have
no Python; SAM3_TRACKER_LIBTORCH names it there.
`;

function runWhich(json: boolean, output: Output): void {
  const files = findAddon();
  const loader = openLibtorchLoader(files);
  const choice = chooseLibtorch(files, loader);
  if (json) {
    output.stdout.write(`${JSON.stringify({ needed: loader.builtFor, ...choice }, null, 2)}\n`);
    if (choice.chosen === null) throw libtorchNotFound(choice, loader.builtFor);
    return;
  }
  if (choice.chosen === null) throw libtorchNotFound(choice, loader.builtFor);
  const { directory, version, build } = choice.chosen;
  output.stdout.write(`${directory}\n`);
  output.stderr.write(`libtorch ${version ?? loader.builtFor}, ${build === 'cuda' ? 'CUDA' : 'CPU'} build\n`);
  for (const place of choice.places) output.stderr.write(`  - ${describePlace(place)}\n`);
}

async function runInstall(
  options: { cpu: boolean; cuda: boolean; dir?: string },
  output: CommandOutput,
): Promise<void> {
  const release = openLibtorchLoader(findAddon()).builtFor;
  const build = options.cuda || (!options.cpu && hasNvidiaDriver()) ? 'cuda' : 'cpu';
  const directory = options.dir === undefined ? installDirectory(release, build) : path.resolve(options.dir);
  await installLibtorch({ release, build, directory }, output);
  if (options.dir !== undefined)
    output.stderr.write(`Set SAM3_TRACKER_LIBTORCH=${directory} where it is to be used.\n`);
  output.stdout.write(`${directory}\n`);
}

/** The command. */
export function libtorchCommand({ output }: CommandContext): Command {
  const command = new Command('libtorch')
    .summary('show or get the libtorch that computes')
    .description("Shows or gets libtorch, PyTorch's C++ library, which computes.")
    .addHelpText('after', HELP);
  command
    .command('which')
    .summary('show which libtorch would be used, and why')
    .description('Prints the directory of the libtorch that would be used, and to standard error why.')
    .option('--json', 'every place that was looked at, as JSON', false)
    .action(({ json }: { json: boolean }) => runWhich(json, output));
  command
    .command('install')
    .summary('fetch a libtorch with pip')
    .description('Fetches the libtorch that this package was built for, and prints its directory.')
    .option('--cpu', 'the CPU build (default where there is no NVIDIA driver)', false)
    .option('--cuda', 'the CUDA build (default where there is one)', false)
    .option('--dir <directory>', "where to (default: the user's cache folder)")
    .addHelpText('after', INSTALL_HELP)
    .action(async (options: { cpu: boolean; cuda: boolean; dir?: string }, self: Command) => {
      if (options.cpu && options.cuda)
        self.error('error: --cpu and --cuda exclude each other.', { exitCode: 2 });
      await runInstall(options, output);
    });
  return command;
}
