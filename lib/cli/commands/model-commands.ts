/** The commands for checkpoints: download, inspect, verify, export. */
/* eslint-disable @typescript-eslint/no-require-imports -- what needs libtorch is loaded where it is used */
import { Command, Option } from 'commander';
import { MODEL_DTYPES } from '../../core/device';
import type { runDownload } from './download';
import type { runExport } from './export';
import type { runInspect } from './inspect';
import { parseArea, parseDeviceOption } from '../option-parsers';
import type { Output } from '../output';
import type { runVerify } from './verify';

/** facebook/sam3's published outputs are those of this picture. */
const TRUCK = 'https://huggingface.co/datasets/hf-internal-testing/sam2-fixtures/resolve/main/truck.jpg';

/** What a command has of the program. */
export interface CommandContext {
  output: Output;
  /** Sets the exit code. */
  finish: (code: number) => void;
}

const MODEL = 'a directory, the id of a bundled model, or owner/name on the Hugging Face hub';

function downloadCommand({ output }: CommandContext): Command {
  return new Command('download')
    .summary('download a model from the Hugging Face hub')
    .description(
      "Downloads a model's configurations and weights into the hub's cache and prints the folder. A gated model " +
        '(facebook/sam3) wants its terms accepted on its page and a token: --token, HF_TOKEN, or "hf auth login".',
    )
    .argument('<model>', 'owner/name, such as facebook/sam3')
    .option('--revision <revision>', 'a branch, a tag or a commit', 'main')
    .option(
      '--token <token>',
      'an access token (better: HF_TOKEN, which other users of the machine do not see)',
    )
    .option('--cache-dir <directory>', "the hub's cache (default: HF_HUB_CACHE, else $HF_HOME/hub)")
    .option('--force', 'download what is in the cache again', false)
    .option('--quiet', 'print the folder and errors only', false)
    .option('--debug', 'print the stack of an error', false)
    .action(async (model: string, options: Parameters<typeof runDownload>[1]) => {
      const command = require('./download') as { runDownload: typeof runDownload };
      await command.runDownload(model, options, output);
    });
}

function inspectCommand({ output, finish }: CommandContext): Command {
  return new Command('inspect')
    .summary('show what a model consists of and what would be loaded')
    .description(
      'Shows parameters, dtypes, sizes, graphs and hashes of a model, and whether they fit each other. Nothing is ' +
        'downloaded: of a model on the hub it shows what the cache has.',
    )
    .argument('<model>', MODEL)
    .option('--revision <revision>', 'a branch, a tag or a commit', 'main')
    .option('--cache-dir <directory>', "the hub's cache (default: HF_HUB_CACHE, else $HF_HOME/hub)")
    .option('--hash', 'compute the sha256 of the weights, which takes a while', false)
    .option('--json', 'print JSON', false)
    .option('--debug', 'print the stack of an error', false)
    .action(async (model: string, options: Parameters<typeof runInspect>[1]) => {
      const command = require('./inspect') as { runInspect: typeof runInspect };
      finish((await command.runInspect(model, options, output)) ? 0 : 1);
    });
}

function verifyCommand({ output, finish }: CommandContext): Command {
  return new Command('verify')
    .summary("compare facebook/sam3's outputs with the published ones")
    .description(
      "Runs the inputs of transformers' own tests of facebook/sam3 and prints the published values and those found " +
        'beside each other. Exit code 1 where one differs by more than the tolerance.',
    )
    .argument('[model]', MODEL, 'facebook/sam3')
    .option('--image <image>', 'the picture truck.jpg, if not from the hub: a path or a URL', TRUCK)
    .option('--device <device>', 'auto, cpu, cuda, cuda:N or N', parseDeviceOption, 'auto')
    .addOption(new Option('--dtype <dtype>', 'what to compute in').choices(MODEL_DTYPES).default('float32'))
    .option(
      '--tolerance <number>',
      "largest difference: this, and as much of the value's size; that of transformers' tests",
      parseArea,
      1e-4,
    )
    .option('--debug', 'print the stack of an error', false)
    .action(async (model: string, options: Parameters<typeof runVerify>[1]) => {
      const command = require('./verify') as { runVerify: typeof runVerify };
      finish((await command.runVerify(model, options, output)) ? 0 : 1);
    });
}

function exportCommand({ output, finish }: CommandContext): Command {
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
      const command = require('./export') as { runExport: typeof runExport };
      finish(await command.runExport(self.args, output));
    });
}

/** The commands for checkpoints. */
export function modelCommands(context: CommandContext): Command[] {
  return [downloadCommand(context), inspectCommand(context), verifyCommand(context), exportCommand(context)];
}
