/** What the commands read and write, and say of what they cannot: a grid of all commands and their bad arguments. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  mkdtempSync,
  existsSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { printable, printableName } from '../../../lib/cli/text';
import { main } from '../../../lib/cli/main';
import type { ModelRecord } from '../../../lib/cli/commands/inspect';
import { RawImage } from '../../../lib/image/raw-image';
import { BUNDLED_MODEL, withModelCopy } from '../../support/bundled-model';
import { readWeights, writeWeights } from '../../support/safetensors';

const ROOT = path.join(__dirname, '..', '..', '..');
const CLICK = ['--point', '5,5'];
const QUICK = ['--points-per-crop', '2', '--pred-iou-thresh', '0', '--stability-score-thresh', '0'];
/** A window's title, a cleared screen, a line of its own, text the other way round. */
const HOSTILE = 'a\u001b]0;owned\u0007\u001b[2J\u009b31m\r\nloads yes\u202egpj';

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

async function runWith(input: readonly Uint8Array[], ...argv: string[]): Promise<Run> {
  const text = { stdout: '', stderr: '' };
  const streams = {
    stdout: { write: (part: string) => (text.stdout += part) },
    stderr: { write: (part: string) => (text.stderr += part) },
  };
  async function* parts(): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    yield* input;
  }
  return { code: await main(argv, streams, parts()), ...text };
}
const run = (...argv: string[]): Promise<Run> => runWith([], ...argv);

describe('the files of the command line', () => {
  let directory: string;
  const home = process.cwd();
  let png: Buffer;
  before(async () => {
    const data = Uint8Array.from({ length: 40 * 30 * 3 }, (_, index) => (index * 7) % 256);
    png = await new RawImage(data, 40, 30, 3).toSharp().png().toBuffer();
  });
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-cli-files-'));
    process.chdir(directory);
    mkdirSync('one');
    mkdirSync('two');
    for (const name of ['a.png', 'one/a.png', 'two/a.png']) writeFileSync(name, png);
    writeFileSync('file', 'mine');
  });
  afterEach(() => {
    process.chdir(home);
    rmSync(directory, { recursive: true });
  });

  it('are none with --json alone, so that two images may have one name', async () => {
    const { code, stdout } = await run('segment', 'one/a.png', 'two/a.png', ...CLICK, '--json', '--quiet');
    assert.equal(code, 0);
    assert.deepEqual(
      (JSON.parse(stdout) as { image: string }[]).map(({ image }) => image),
      ['one/a.png', 'two/a.png'],
    );
    assert.deepEqual(readdirSync('.').sort(), ['a.png', 'file', 'one', 'two']);
  });

  for (const command of ['segment', 'generate'])
    it(`of ${command} are not written over unless it is asked for`, async () => {
      const given = [command, 'a.png', ...(command === 'segment' ? CLICK : QUICK), '--out', '.'];
      const first = await run(...given, '--quiet');
      assert.deepEqual(first, { code: 0, stdout: '', stderr: '' });
      const written = readdirSync('.').filter((name) => /^(a-|a\.json|annotations)/.test(name));
      assert.equal(written.length, command === 'segment' ? 3 : 2);
      for (const name of written) {
        for (const other of written) rmSync(other, { force: true });
        writeFileSync(name, 'mine');
        const refused = await run(...given);
        assert.equal(refused.code, 2);
        assert.match(refused.stderr, /^sam3-tracker: .* is there already: --overwrite writes over it/);
        assert.ok(refused.stderr.includes(name) && refused.stdout === '');
        assert.equal(readFileSync(name, 'utf8'), 'mine');
      }
      assert.equal((await run(...given, '--quiet', '--overwrite')).code, 0);
      assert.ok(written.every((name) => readFileSync(name, 'latin1') !== 'mine'));
    });

  it('may be standard input, once', async () => {
    const halves = [png.subarray(0, 50), png.subarray(50)];
    const piped = await runWith(halves, 'segment', '-', ...CLICK, '--json', '--quiet');
    const read = await run('segment', 'a.png', ...CLICK, '--json', '--quiet');
    const objects = ({ stdout }: Run): unknown => (JSON.parse(stdout) as { objects: unknown }[])[0].objects;
    assert.deepEqual(objects(piped), objects(read));
    assert.equal((await runWith(halves, 'generate', '-', ...QUICK, '--out', 'out', '--quiet')).code, 0);
    assert.deepEqual(readdirSync('out').sort(), ['annotations.json', 'stdin-masks.png']);
    const { images } = JSON.parse(readFileSync('out/annotations.json', 'utf8')) as {
      images: { file_name: string }[];
    };
    assert.deepEqual(
      images.map(({ file_name }) => file_name),
      ['stdin'],
    );
    const mask = await runWith(halves, 'segment', 'a.png', '--mask', '-', '--json', '--quiet');
    assert.equal(mask.code, 0, mask.stderr);
    const verified = await runWith(
      halves,
      'verify',
      'sam3-tracker-tiny',
      '--image',
      '-',
      '--tolerance',
      '1e9',
    );
    assert.equal(verified.code, 0, verified.stderr);
    const empty = await run('segment', '-', ...CLICK, '--json');
    assert.equal(empty.code, 1);
    assert.match(empty.stderr, /^sam3-tracker: -: /m);
    for (const twice of [
      ['segment', '-', '-', ...CLICK],
      ['segment', '-', '--mask', '-'],
      ['generate', '-', '-', '--out', 'x'],
    ]) {
      const { code, stderr } = await run(...twice);
      assert.equal(code, 2);
      assert.equal(stderr, 'sam3-tracker: Standard input (-) can be read once.\n');
    }
  });

  describe('and bad arguments', () => {
    const MODELS = [
      '',
      ' ',
      'a b/c',
      'a//b',
      '../x/y',
      'x'.repeat(300),
      'a/b/c',
      'http://h/x',
      'file',
      'file/x',
      '\u001b[2J/x',
    ];
    const ONE_LINE = /^sam3-tracker: [^\n]+\n$/;
    const COMMANDS: Record<string, (model: string) => string[]> = {
      segment: (model) => ['segment', 'a.png', ...CLICK, '--quiet', '--json', '--model', model],
      generate: (model) => ['generate', 'a.png', '--out', 'out', '--quiet', '--model', model],
      verify: (model) => ['verify', model, '--image', 'a.png'],
      inspect: (model) => ['inspect', model],
      download: (model) => ['download', model, '--quiet'],
    };
    for (const [command, argv] of Object.entries(COMMANDS))
      it(`${command} names a model that is none, in one line with one prefix`, async () => {
        process.env.HF_HUB_OFFLINE = '1';
        try {
          for (const model of MODELS) {
            const { code, stderr, stdout } = await run(...argv(model));
            assert.equal(code, 1, JSON.stringify(model));
            assert.match(stderr, ONE_LINE);
            assert.doesNotMatch(stderr, / of type \w+|ENOTDIR|\(default: \[\]\)/, JSON.stringify(model));
            const shown = printableName(model).slice(0, 40);
            assert.ok(shown.trim() === '' || stderr.includes(shown), stderr);
            assert.equal(stdout, '');
          }
          assert.ok(!existsSync('out'));
        } finally {
          delete process.env.HF_HUB_OFFLINE;
        }
      });

    const WRONG: string[][] = [
      [],
      ['segmemt'],
      ...['segment', 'generate', 'inspect', 'download'].flatMap((command) => [
        [command],
        [command, 'a.png', '--nope'],
      ]),
      ['verify', '--tolerance', 'x'],
      ['doctor', '--nope'],
      ['libtorch', 'install', '--cpu', '--cuda'],
      ['libtorch', 'nope'],
      ...['--device', '--dtype', '--threshold', '--max-hole-area', '--point', '--box'].map((option) => [
        'segment',
        'a.png',
        option,
        'x',
      ]),
      ...[
        ['--points-per-batch', '0'],
        ['--crop-overlap-ratio', '2'],
        ['--crop-n-points-downscale-factor', '0'],
        ['--stability-score-offset', 'x'],
        ['--box-of-interest', '1,2'],
        ['--max-memory', '0'],
        ['--timeout', '-1'],
        ['--device', 'x'],
        ['--format', 'x'],
        ['--reference', 'x'],
      ].map((options) => ['generate', 'a.png', '--out', 'out', ...options]),
      ...['file', 'file/x', 'file/x/y'].flatMap((out) => [
        ['segment', 'a.png', ...CLICK, '--out', out],
        ['generate', 'a.png', '--out', out],
      ]),
      ['segment', 'one/a.png', 'two/a.png', ...CLICK],
      ['generate', 'one/a.png', 'two/a.png', '--out', 'out'],
    ];
    it(`of ${WRONG.length} command lines end with 2, one prefix and no word of types`, async () => {
      for (const argv of WRONG) {
        const { code, stdout, stderr } = await run(...argv);
        assert.equal(code, 2, argv.join(' '));
        assert.equal(stdout, '');
        if (argv.length > 0 && argv.join(' ') !== 'libtorch nope')
          assert.match(stderr, /^sam3-tracker: /, argv.join(' '));
        assert.doesNotMatch(stderr, /error:| of type \w+|ENOTDIR/, argv.join(' '));
      }
      assert.deepEqual(readdirSync('.').sort(), ['a.png', 'file', 'one', 'two']);
    });

    it('leave no default in the help that is no value', async () => {
      for (const command of ['segment', 'generate', 'download', 'inspect', 'verify', 'doctor', 'libtorch'])
        assert.doesNotMatch((await run(command, '--help')).stdout, /\(default: (\[\]|\{\}|undefined|null)\)/);
    });
  });

  describe('with hostile names', () => {
    it('show escapes instead of obeying them, and stay JSON', () => {
      assert.equal(
        printable('a\u001b[2J\n\u009b\u202e\u2028\ud800b'),
        'a\\u001b[2J\n\\u009b\\u202e\\u2028\\ud800b',
      );
      assert.equal(printableName('a\nb\tc'), 'a\\u000ab\\u0009c');
      assert.equal(printable('Grüße 漢字 👩‍👩‍👧 שלום'), 'Grüße 漢字 👩‍👩‍👧 שלום');
      const value = { name: HOSTILE };
      assert.deepEqual(JSON.parse(printable(JSON.stringify(value, null, 2))), value);
    });

    const RAW = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
    it('of images print nothing raw', async () => {
      writeFileSync(`${HOSTILE}.png`, png);
      const names = [`${HOSTILE}.png`, `${HOSTILE}.gif`];
      for (const argv of [
        ['segment', names[0], ...CLICK, '--out', `o${HOSTILE}`],
        ['segment', ...names, ...CLICK, '--json'],
        ['generate', names[0], ...QUICK, '--out', `p${HOSTILE}`],
        ['segment', names[1], ...CLICK, '--debug', '--json'],
        ['segment', names[0], names[0], ...CLICK],
      ]) {
        const { stdout, stderr } = await run(...argv);
        assert.doesNotMatch(stdout + stderr, RAW, argv[0]);
        // A stack has the lines of its message.
        if (!argv.includes('--debug')) assert.doesNotMatch(stdout + stderr, /^loads yes/m);
        assert.match(stdout + stderr, /\\u001b\]0;owned/);
        if (argv.includes('--json')) JSON.parse(stdout);
      }
    });

    it('of weights, dtypes and folders print nothing raw in inspect', () =>
      withModelCopy(async (copy) => {
        const weights = readWeights(copy.file('model.safetensors'));
        const [[name, weight]] = weights;
        for (const change of [
          () => weights.set(`${HOSTILE}.weight`, weight),
          () => weights.set(name, { ...weight, dtype: HOSTILE }),
        ]) {
          change();
          writeWeights(copy.file('model.safetensors'), weights);
          const { code, stdout, stderr } = await run('inspect', copy.directory);
          assert.equal(code, 1);
          assert.doesNotMatch(stdout + stderr, RAW);
          assert.equal(stdout.match(/^loads/gm)!.length, 1);
          assert.match(stdout, /\\u001b\]0;owned/);
        }
      }));
  });

  describe('of a model in inspect', () => {
    const inspect = async (model: string): Promise<ModelRecord> =>
      JSON.parse((await run('inspect', model, '--json')).stdout) as ModelRecord;

    it('are shown where the weights are cut in half', () =>
      withModelCopy(async (copy) => {
        truncateSync(copy.file('model.safetensors'), 2_000_000);
        const { code, stdout, stderr } = await run('inspect', copy.directory);
        assert.equal(code, 1);
        assert.equal(stderr, '');
        assert.match(stdout, /^config_hash +[0-9a-f]{64}$/m);
        assert.match(stdout, /^weights +model\.safetensors, 2\.0 MB$/m);
        assert.match(stdout, /^loads +no: .*model\.safetensors is not a valid safetensors file: /m);
        const { graphs, missing, problem } = await inspect(copy.directory);
        assert.equal(graphs.length, 3);
        assert.deepEqual(missing, []);
        copy.remove('torchscript/mask_decoder.pt');
        assert.match(
          (await inspect(copy.directory)).problem!,
          /mask_decoder\.pt.* is not a valid safetensors/s,
        );
        assert.match(problem!, /^[^;]*not a valid safetensors file/);
      }));

    it('are counted where the graphs hold the weights', () =>
      withModelCopy(async (copy) => {
        const { parameters, tensors } = (await inspect(BUNDLED_MODEL)).loaded;
        copy.editJson<{ holds_weights: boolean }>(
          'torchscript/manifest.json',
          (manifest) => (manifest.holds_weights = true),
        );
        copy.remove('model.safetensors');
        const { code, stdout } = await run('inspect', copy.directory);
        assert.equal(code, 0, stdout);
        assert.match(stdout, /^loaded +2\.0 M parameters in 313 tensors of the graphs$/m);
        const record = await inspect(copy.directory);
        assert.deepEqual(
          [record.loaded.parameters, record.loaded.tensors, record.missing],
          [parameters, tensors, []],
        );
      }));
  });

  describe('of a full disk', () => {
    /** Runs the tool as a process of its own, through a shell line that sets its limits. */
    async function tool(
      shell: string,
      stdout: number | 'pipe',
    ): Promise<{ code: number | null; stderr: string }> {
      const program = `"${process.execPath}" --import "${require.resolve('tsx')}" "${path.join(ROOT, 'lib/cli/main.ts')}"`;
      const child = spawn('sh', ['-c', shell.replace('TOOL', program)], {
        stdio: ['ignore', stdout, 'pipe'],
      });
      let stderr = '';
      child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, stderr };
    }

    it('end the program with 1 and a word where they are standard output', async function () {
      if (!existsSync('/dev/full')) this.skip();
      const full = openSync('/dev/full', 'w');
      try {
        const { code, stderr } = await tool('TOOL inspect sam3-tracker-tiny --json', full);
        assert.match(stderr, /^sam3-tracker: Standard output cannot be written: ENOSPC[^\n]*\n$/);
        assert.equal(code, 1);
      } finally {
        closeSync(full);
      }
    });

    it('are no failure where a reader stops early', async () => {
      const { code, stderr } = await tool('TOOL inspect sam3-tracker-tiny --json | true', 'pipe');
      assert.deepEqual([code, stderr], [0, '']);
    });

    it('leave nothing of what was begun', async () => {
      const photo = path.join(ROOT, 'examples', 'images', 'coffee.png');
      // As on a disk with room for 20 kB.
      const command = `trap '' XFSZ; ulimit -f 40; TOOL segment '${photo}' --point 150,150 --quiet --out out`;
      const { code, stderr } = await tool(command, 'pipe');
      assert.match(
        stderr,
        /^sam3-tracker: [^\n]*coffee\.png: out cannot be written: files of this size are not allowed here \(EFBIG\)\.\n$/,
      );
      assert.equal(code, 1);
      assert.deepEqual(readdirSync('out'), []);
    });
  });
});
