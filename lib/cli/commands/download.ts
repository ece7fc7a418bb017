/** `sam3-tracker download`: a model of the hub into its cache. */
import { SingleBar } from 'cli-progress';
import { Sam3TrackerConfig } from '../../config/sam3-tracker';
import { Sam3TrackerError } from '../../core/errors';
import { find_graphs } from '../../model/graphs';
import type { DownloadProgress } from '../../hub/settings';
import { openPretrained } from '../../checkpoint/pretrained-files';
import { readConfigDict } from '../../checkpoint/settings';
import { failWithoutWeights, find_weight_files } from '../../checkpoint/weights';
import type { Output } from '../output';

/** The options of the command line, as commander gives them. */
export interface DownloadOptions {
  revision: string;
  token?: string;
  cacheDir?: string;
  force: boolean;
  quiet: boolean;
  debug: boolean;
}

/** Shows progress: a bar on a terminal, a line for each file elsewhere. */
function reporter({ stderr }: Output, quiet: boolean): (progress: DownloadProgress) => void {
  const terminal = process.stderr.isTTY && stderr === process.stderr;
  let bar: SingleBar | null = null;
  return ({ status, file, loaded, total }) => {
    if (quiet) return;
    const megabytes = (bytes: number): number => Math.round(bytes / 1e6);
    if (!terminal) {
      if (status === 'initiate') stderr.write(`Downloading ${file} (${(total / 1e6).toFixed(1)} MB)\n`);
      return;
    }
    if (status === 'initiate') {
      bar = new SingleBar({
        format: `${file} {bar} {percentage} % | {value} of {total} MB | {eta_formatted}`,
      });
      bar.start(megabytes(total), 0);
    }
    bar?.update(megabytes(loaded));
    if (status === 'done') bar?.stop();
  };
}

/**
 * Runs the command.
 *
 * @param model a repository on the hub.
 * @param options of the command line.
 * @param output the folder goes to stdout, everything else to stderr.
 * @throws Sam3TrackerError as `from_pretrained`; RangeError for a configuration that is not the tracker's.
 */
export async function runDownload(model: string, options: DownloadOptions, output: Output): Promise<void> {
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
    if (files.directory === null) find_graphs(config, files.folder);
  } catch (error) {
    if (!(error instanceof Sam3TrackerError) || error.code !== 'GRAPHS_NOT_FOUND') throw error;
    output.stderr.write(`Note: ${error.message}\n`);
  }
  if ((await find_weight_files(files)) === null) failWithoutWeights(files);
  output.stdout.write(`${files.folder}\n`);
}
