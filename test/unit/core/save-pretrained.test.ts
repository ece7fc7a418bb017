/** The four `save_pretrained`: one writer, which leaves the old files or the new ones and nothing else. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Sam3TrackerConfig } from '../../../lib/config/sam3-tracker';
import { saveFiles } from '../../../lib/core/files';
import { Sam3ImageProcessor } from '../../../lib/image/image-processing-sam3';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import { BUNDLED_MODEL } from '../../support/bundled-model';

interface Saved {
  save_pretrained(directory: string): Promise<unknown>;
}

describe('save_pretrained', () => {
  let scratch: string;
  let model: Sam3TrackerModel;

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu', dtype: 'float16' });
  });
  after(() => model.dispose());
  beforeEach(() => {
    scratch = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-save-'));
  });
  afterEach(() => rmSync(scratch, { recursive: true }));

  const MODEL_FILES = ['config.json', 'model.safetensors', 'torchscript'];
  const cases: [name: string, make: () => Saved, files: string[]][] = [
    ['a configuration', () => new Sam3TrackerConfig(), ['config.json']],
    ['an image processor', () => new Sam3ImageProcessor(), ['preprocessor_config.json']],
    ['a processor', () => new Sam3TrackerProcessor(new Sam3ImageProcessor()), ['processor_config.json']],
    ['a model', () => model, MODEL_FILES],
  ];
  const notWritten = { name: 'Sam3TrackerError', code: 'FILE_NOT_WRITTEN' };
  for (const [name, make, files] of cases)
    describe(`of ${name}`, () => {
      it('makes a missing directory, and replaces what is in one', async () => {
        const directory = path.join(scratch, 'a', 'b');
        for (const old of [false, true]) {
          if (old) writeFileSync(path.join(directory, files[0]), 'old');
          await make().save_pretrained(directory);
          assert.deepEqual(readdirSync(directory).sort(), files);
          assert.match(readFileSync(path.join(directory, files[0]), 'utf8'), /^\{\n/);
        }
      });

      it('refuses a file for a directory, and a directory below a file', async () => {
        const file = path.join(scratch, 'file');
        writeFileSync(file, 'old');
        await assert.rejects(make().save_pretrained(file), {
          name: 'Sam3TrackerError',
          code: 'FILE_INVALID',
          message: `Provided path (${file}) should be a directory, not a file`,
        });
        await assert.rejects(make().save_pretrained(path.join(file, 'inner')), notWritten);
        assert.equal(readFileSync(file, 'utf8'), 'old');
        await assert.rejects(make().save_pretrained(''), RangeError);
        await assert.rejects(make().save_pretrained(7 as never), TypeError);
      });

      it('leaves the old files where one cannot be written, and nothing temporary', async () => {
        // The last to be written is not a file: those before it must stay, too.
        const blocked = files[0];
        mkdirSync(path.join(scratch, blocked, 'full'), { recursive: true });
        for (const file of files.slice(1, 2)) writeFileSync(path.join(scratch, file), 'old');
        const before = readdirSync(scratch, { recursive: true });
        await assert.rejects(make().save_pretrained(scratch), {
          ...notWritten,
          message: new RegExp(`${blocked} cannot be written: it is a directory`),
        });
        assert.deepEqual(readdirSync(scratch, { recursive: true }), before);
        for (const file of files.slice(1, 2))
          assert.equal(readFileSync(path.join(scratch, file), 'utf8'), 'old');
      });

      it('leaves the old files in a directory that is read-only, and nothing temporary', async function () {
        // root may write anywhere.
        if (process.getuid?.() === 0) return this.skip();
        writeFileSync(path.join(scratch, files[0]), 'old');
        chmodSync(scratch, 0o555);
        await assert.rejects(make().save_pretrained(scratch), notWritten);
        chmodSync(scratch, 0o755);
        assert.deepEqual(readdirSync(scratch), [files[0]]);
        assert.equal(readFileSync(path.join(scratch, files[0]), 'utf8'), 'old');
      });
    });

  it('leaves every old file where a writer fails in the middle', async () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC', syscall: 'write' });
    writeFileSync(path.join(scratch, 'a'), 'old');
    for (const [error, expected] of [
      [full, { ...notWritten, message: /cannot be written: the disk is full/ }],
      [new RangeError('a failure'), { name: 'RangeError', message: 'a failure' }],
    ] as const) {
      const failing = async (file: string): Promise<void> => {
        writeFileSync(file, 'half');
        return Promise.reject(error);
      };
      const files = [
        { name: 'a', content: 'new' },
        { name: path.join('inner', 'b'), content: failing },
      ];
      await assert.rejects(saveFiles(scratch, files), expected);
      assert.deepEqual(readdirSync(scratch, { recursive: true }).sort(), ['a', 'inner']);
      assert.equal(readFileSync(path.join(scratch, 'a'), 'utf8'), 'old');
    }
  });
});
