/** `sam3-tracker download`: a model of the hub into its cache. */
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import { Sam3TrackerConfig } from '../../config/sam3-tracker';
import { Sam3TrackerError } from '../../core/errors';
import { findGraphs } from '../../model/graphs';
import type { DownloadProgress } from '../../hub/settings';
import { openPretrained } from '../../checkpoint/pretrained-files';
import { readConfigDict } from '../../checkpoint/settings';
import { failWithoutWeights, findWeightFiles } from '../../checkpoint/weights';
import { addHubOptions } from '../arguments';
import type { CommandContext, CommandOutput } from '../io';
import { printableName } from '../text';

/** The options of the command line, as commander gives them. */
interface DownloadOptions {
  revision: string;
  token?: string;
  cacheDir?: string;
  force: boolean;
  quiet: boolean;
  debug: boolean;
}

/** Shows progress: a bar on a terminal, a line for each file elsewhere. */
function reporter({ stderr, terminal }: CommandOutput, quiet: boolean): (progress: DownloadProgress) => void {
  let bar: SingleBar | null = null;
  return ({ status, file, loaded, total }) => {
    if (quiet) return;
    const megabytes = (bytes: number): number => Math.round(bytes / 1e6);
    const name = printableName(file);
    if (!terminal) {
      if (status === 'initiate') stderr.write(`Downloading ${name} (${(total / 1e6).toFixed(1)} MB)\n`);
      return;
    }
    if (status === 'initiate') {
      bar = new SingleBar({
        stream: terminal,
        format: '{name} {bar} {percentage} % | {value} of {total} MB | {eta_formatted}',
      });
      bar.start(megabytes(total), 0, { name });
    }
    bar?.update(megabytes(loaded));
    if (status === 'done') bar?.stop();
  };
}

/**
 * Downloads a model.
 *
 * @param model a repository on the hub.
 * @param options of the command line.
 * @param output the folder goes to stdout, everything else to stderr.
 * @throws Sam3TrackerError as `from_pretrained`; RangeError for a configuration that is not the tracker's.
 */
async function download(model: string, options: DownloadOptions, output: CommandOutput): Promise<void> {
  const files = await openPretrained(model, {
    revision: options.revision,
    token: options.token,
    cache_dir: options.cacheDir,
    force_download: options.force,
    progress_callback: reporter(output, options.quiet),
  });
  // Before gigabytes are fetched: whether it is a tracker at all, and whether there are graphs for it.
  const config = Sam3TrackerConfig.from_dict(await readConfigDict(files));
  for (const name of ['processor_config.json', 'preprocessor_config.json']) await files.find(name);
  try {
    if (files.directory === null) findGraphs(config, files.folder);
  } catch (error) {
    if (!(error instanceof Sam3TrackerError) || error.code !== 'GRAPHS_NOT_FOUND') throw error;
    output.stderr.write(`Note: ${error.message}\n`);
  }
  if ((await findWeightFiles(files)) === null) failWithoutWeights(files);
  output.stdout.write(`${printableName(files.folder)}\n`);
}

/** The command. */
export function downloadCommand({ output }: CommandContext): Command {
  const command = new Command('download')
    .summary('download a model from the Hugging Face hub')
    .description(
      "Downloads a model's configurations and weights into the hub's cache and prints the folder. A gated model " +
        '(facebook/sam3) wants its terms accepted on its page and a token: --token, HF_TOKEN, or "hf auth login".',
    )
    .argument('<model>', 'owner/name, such as facebook/sam3')
    .option(
      '--token <token>',
      'an access token (better: HF_TOKEN, which other users of the machine do not see)',
    );
  return addHubOptions(command)
    .option('--force', 'download what is in the cache again', false)
    .option('--quiet', 'print the folder and errors only', false)
    .option('--debug', 'print the stack of an error', false)
    .action(async (model: string, options: DownloadOptions) => download(model, options, output));
}
