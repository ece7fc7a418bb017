/** What the file system can answer, by every public call that names a file: the package's codes, never a raw error. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  AutoConfig,
  AutoModel,
  AutoProcessor,
  RawImage,
  Sam3ImageProcessor,
  Sam3TrackerConfig,
  Sam3TrackerModel,
  Sam3TrackerProcessor,
  pipeline,
  write_coco_annotations,
} from '../../../lib';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { LIBRARY } from '../../support/child';

/** Every call that reads what a path names. */
const READERS: [name: string, read: (place: string) => Promise<unknown>][] = [
  ['Sam3TrackerConfig.from_pretrained', (place) => Sam3TrackerConfig.from_pretrained(place)],
  ['Sam3ImageProcessor.from_pretrained', (place) => Sam3ImageProcessor.from_pretrained(place)],
  ['Sam3TrackerProcessor.from_pretrained', (place) => Sam3TrackerProcessor.from_pretrained(place)],
  ['Sam3TrackerModel.from_pretrained', (place) => Sam3TrackerModel.from_pretrained(place)],
  ['AutoConfig.from_pretrained', (place) => AutoConfig.from_pretrained(place)],
  ['AutoModel.from_pretrained', (place) => AutoModel.from_pretrained(place)],
  ['AutoProcessor.from_pretrained', (place) => AutoProcessor.from_pretrained(place)],
  ['pipeline', (place) => pipeline('mask-generation', place)],
];

const config = new Sam3TrackerConfig();
const image = new RawImage(new Uint8Array(3), 1, 1, 3);
/** A pipeline that finds nothing. */
const findsNothing = Object.assign(() => Promise.resolve({ masks: [], scores: [] }), {
  defaults: {},
  model: { disposed: false },
}) as unknown as Parameters<typeof write_coco_annotations>[0];

/** Every call that writes where a path says. */
const WRITERS: [name: string, write: (place: string) => Promise<unknown>][] = [
  ['Sam3TrackerConfig.save_pretrained', (place) => config.save_pretrained(place)],
  ['Sam3ImageProcessor.save_pretrained', (place) => new Sam3ImageProcessor().save_pretrained(place)],
  [
    'Sam3TrackerProcessor.save_pretrained',
    (place) => new Sam3TrackerProcessor(new Sam3ImageProcessor()).save_pretrained(place),
  ],
  [
    'write_coco_annotations',
    (place) => write_coco_annotations(findsNothing, [{ name: 'x', image }], path.join(place, 'c.json')),
  ],
  ['RawImage.save', (place) => image.save(path.join(place, 'c.png'))],
];

describe('what the file system answers', () => {
  let scratch: string;
  let environment: NodeJS.ProcessEnv;

  beforeEach(() => {
    environment = { ...process.env };
    process.env.HF_HUB_OFFLINE = '1';
    scratch = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-files-'));
    chmodSync(scratch, 0o777);
  });
  afterEach(() => {
    process.env = environment;
    rmSync(scratch, { recursive: true });
  });

  /** Places that answer with an error of the system, each by its code. */
  const places: Record<string, () => string> = {
    ENOENT: () => path.join(scratch, 'none'),
    ENOTDIR: () => {
      writeFileSync(path.join(scratch, 'file'), 'x');
      return path.join(scratch, 'file', 'inner');
    },
    ELOOP: () => {
      symlinkSync('circle', path.join(scratch, 'circle'));
      return path.join(scratch, 'circle');
    },
    'ENAMETOOLONG of a part': () => path.join(scratch, 'x'.repeat(300)),
    'ENAMETOOLONG of the whole': () => path.join(scratch, 'x/'.repeat(50_000)),
    // Node's own recursive mkdir never ends there.
    ...(existsSync('/proc/self') && { 'ENOENT for a folder': () => '/proc/no-such-folder/inner' }),
    'a NUL character': () => `${scratch}/a\0b`,
    'a directory below a circle': () => {
      symlinkSync('circle', path.join(scratch, 'circle'));
      return path.join(scratch, 'circle', 'inner');
    },
  };

  async function assertCode(call: Promise<unknown>, ...codes: string[]): Promise<void> {
    await assert.rejects(call, (error: Error & { code?: string }) => {
      assert.ok(codes.includes(error.code ?? ''), String(error));
      assert.equal(error.name, 'Sam3TrackerError');
      assert.ok(error.message.length < 2000, `a message of ${error.message.length} characters`);
      return true;
    });
  }

  for (const [answer, make] of Object.entries(places)) {
    it(`${answer} is an error of the package wherever a path is read`, async () => {
      const place = make();
      for (const [, read] of READERS) await assertCode(read(place), 'FILE_NOT_FOUND', 'FILE_NOT_READ');
      if (place.length < 1000)
        await assertCode(RawImage.read(place), 'FILE_NOT_FOUND', 'FILE_NOT_READ', 'IMAGE_INVALID');
    });

    it(`${answer} is an error of the package wherever a path is written, and leaves nothing`, async () => {
      const place = make();
      const before = readdirSync(scratch);
      if (answer === 'ENOENT') return;
      for (const [, write] of WRITERS) await assertCode(write(place), 'FILE_NOT_WRITTEN');
      assert.deepEqual(readdirSync(scratch), before);
    });

    it(`${answer} is an error of the package for the hub's cache, token and revision`, async () => {
      const place = make();
      if (place.includes('\0')) return;
      const id = 'tests/tiny';
      await assertCode(
        Sam3TrackerConfig.from_pretrained(id, { cache_dir: place }),
        'FILE_NOT_FOUND',
        'FILE_NOT_READ',
      );
      process.env.HF_HOME = scratch;
      process.env.HF_TOKEN_PATH = place;
      await assertCode(Sam3TrackerConfig.from_pretrained(id), 'FILE_NOT_FOUND', 'FILE_NOT_READ');
      delete process.env.HF_TOKEN_PATH;
      const revision = 'x'.repeat(300);
      await assertCode(Sam3TrackerConfig.from_pretrained(id, { revision }), 'FILE_NOT_FOUND');
    });
  }

  /** Names of a model's files that are read, and which calls read them. */
  const FILES = ['config.json', 'processor_config.json', 'model.safetensors'];

  const readerOf =
    (name: string) =>
    (directory: string): Promise<unknown> =>
      name.startsWith('p')
        ? Sam3TrackerProcessor.from_pretrained(directory)
        : Sam3TrackerModel.from_pretrained(directory);

  it('a directory, a circle and a dangling link in the place of a model file are named', async () => {
    const model = path.join(scratch, 'model');
    cpSync(BUNDLED_MODEL, model, { recursive: true });
    rmSync(path.join(model, 'preprocessor_config.json'));
    for (const name of FILES) {
      const file = path.join(model, name);
      renameSync(file, path.join(scratch, 'whole'));
      for (const spoil of [
        (): void => mkdirSync(file),
        (): void => symlinkSync(name, file),
        (): void => symlinkSync('nowhere', file),
      ]) {
        spoil();
        const read = readerOf(name);
        await assertCode(read(model), 'FILE_NOT_FOUND', 'FILE_NOT_READ');
        rmSync(file, { recursive: true });
      }
      renameSync(path.join(scratch, 'whole'), file);
    }
  });

  it('links of a model directory and of its files are followed', async () => {
    const blobs = path.join(scratch, 'blobs');
    cpSync(BUNDLED_MODEL, blobs, { recursive: true });
    const model = path.join(scratch, 'model');
    mkdirSync(model);
    for (const name of readdirSync(blobs))
      symlinkSync(path.join('..', 'blobs', name), path.join(model, name));
    symlinkSync('model', path.join(scratch, 'link'));
    (await Sam3TrackerModel.from_pretrained(path.join(scratch, 'link'), { device: 'cpu' })).dispose();
  });

  it('a pointer of Git LFS is named, with the command, in the place of every file', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`;
    const model = path.join(scratch, 'model');
    cpSync(BUNDLED_MODEL, model, { recursive: true });
    rmSync(path.join(model, 'preprocessor_config.json'));
    const graphs = ['manifest.json', 'vision_encoder.pt', 'prompt_encoder.pt', 'mask_decoder.pt'];
    for (const name of [...FILES, ...graphs.map((graph) => path.join('torchscript', graph))]) {
      const file = path.join(model, name);
      const whole = readFileSync(file);
      writeFileSync(file, pointer);
      const read = readerOf(name);
      await assert.rejects(read(model), {
        code: 'FILE_INVALID',
        message: new RegExp(`${path.basename(name)} is a pointer of Git LFS.*git lfs pull`),
      });
      writeFileSync(file, whole);
    }
    (await Sam3TrackerModel.from_pretrained(model, { device: 'cpu' })).dispose();
  });

  it('EACCES is an error of the package for what is read and what is written', async function () {
    if (process.platform === 'win32') return this.skip();
    const model = path.join(scratch, 'model');
    cpSync(BUNDLED_MODEL, model, { recursive: true });
    const closed = path.join(scratch, 'closed');
    mkdirSync(closed);
    const token = path.join(scratch, 'token');
    writeFileSync(token, 'hf_x');
    for (const name of FILES) chmodSync(path.join(model, name), 0o000);
    rmSync(path.join(model, 'preprocessor_config.json'));
    chmodSync(token, 0o000);
    chmodSync(closed, 0o000);
    const isRoot = process.getuid?.() === 0;
    // Nothing is closed to root.
    if (isRoot) process.seteuid!(65534);
    try {
      for (const [, read] of READERS) {
        await assertCode(read(model), 'FILE_NOT_READ');
        await assertCode(read(path.join(closed, 'model')), 'FILE_NOT_READ');
      }
      await assertCode(RawImage.read(path.join(closed, 'x.png')), 'FILE_NOT_READ', 'IMAGE_INVALID');
      for (const [, write] of WRITERS) await assertCode(write(closed), 'FILE_NOT_WRITTEN');
      await assertCode(
        Sam3TrackerConfig.from_pretrained('tests/tiny', { cache_dir: closed }),
        'FILE_NOT_READ',
      );
      process.env.HF_TOKEN_PATH = token;
      await assertCode(Sam3TrackerConfig.from_pretrained('tests/tiny'), 'FILE_NOT_READ');
    } finally {
      if (isRoot) process.seteuid!(0);
      chmodSync(closed, 0o755);
    }
  });

  /** Runs a program under a limit of the shell, and gives what it printed as JSON. */
  function runLimited(limit: string, program: string): unknown {
    const node = `exec "$0" --require tsx/cjs -e "$1"`;
    const child = spawnSync('bash', ['-c', `${limit}; ${node}`, process.execPath, program], {
      encoding: 'utf8',
      cwd: path.dirname(path.dirname(LIBRARY)),
    });
    assert.equal(child.status, 0, child.stderr);
    return JSON.parse(child.stdout);
  }

  it('EMFILE is an error of the package', () => {
    const found = runLimited(
      'ulimit -n 256',
      `const { openSync } = require('node:fs');
      const { Sam3TrackerConfig, RawImage } = require(${JSON.stringify(LIBRARY)});
      const model = ${JSON.stringify(BUNDLED_MODEL)};
      (async () => {
        // What is loaded late has to be there.
        await Sam3TrackerConfig.from_pretrained(model);
        try { for (;;) openSync('/dev/null'); } catch {}
        const calls = [Sam3TrackerConfig.from_pretrained(model), new Sam3TrackerConfig().save_pretrained(${JSON.stringify(scratch)})];
        const results = await Promise.allSettled(calls);
        process.stdout.write(JSON.stringify(results.map(({ reason }) => [reason.code, reason.message])));
      })();`,
    ) as [string, string][];
    assert.deepEqual(
      found.map(([code]) => code),
      ['FILE_NOT_READ', 'FILE_NOT_WRITTEN'],
    );
    for (const [, message] of found) assert.match(message, /too many files open \(EMFILE\)/);
    assert.deepEqual(readdirSync(scratch), []);
  });

  it('a file that may not grow leaves the old ones of every writer', () => {
    const names = [
      'config.json',
      'preprocessor_config.json',
      'processor_config.json',
      'model.safetensors',
      'c.json',
    ];
    for (const name of names) writeFileSync(path.join(scratch, name), `old ${name}`);
    const found = runLimited(
      // Blocks of 512 bytes or of 1,024.
      'ulimit -f 0',
      `process.on('SIGXFSZ', () => {});
      const { Sam3TrackerConfig, Sam3ImageProcessor, Sam3TrackerProcessor, Sam3TrackerModel, RawImage, write_coco_annotations } =
        require(${JSON.stringify(LIBRARY)});
      const out = ${JSON.stringify(scratch)};
      (async () => {
        const processor = new Sam3ImageProcessor();
        const model = await Sam3TrackerModel.from_pretrained(${JSON.stringify(BUNDLED_MODEL)}, { device: 'cpu' });
        const findsNothing = Object.assign(async () => ({ masks: [], scores: [] }), { defaults: {}, model });
        const image = new RawImage(new Uint8Array(3), 1, 1, 3);
        const calls = [new Sam3TrackerConfig().save_pretrained(out), processor.save_pretrained(out),
          new Sam3TrackerProcessor(processor).save_pretrained(out), model.save_pretrained(out),
          write_coco_annotations(findsNothing, [{ name: 'x', image }], out + '/c.json')];
        const results = await Promise.allSettled(calls);
        process.stdout.write(JSON.stringify(results.map(({ reason }) => [reason?.code, reason?.message])));
      })();`,
    ) as [string, string][];
    for (const [code, message] of found) assert.equal(code, 'FILE_NOT_WRITTEN', message);
    assert.equal(found.length, 5);
    assert.deepEqual(readdirSync(scratch).sort(), [...names, 'torchscript'].sort());
    assert.deepEqual(readdirSync(path.join(scratch, 'torchscript')), []);
    for (const name of names) assert.equal(readFileSync(path.join(scratch, name), 'utf8'), `old ${name}`);
  });
});
