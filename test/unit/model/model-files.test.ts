/** Loading a model: every way to give its files, and one clear error for each way in which they are wrong. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { main } from '../../../lib/cli/main';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import type { PretrainedModelOptions } from '../../../lib/model/load';
import {
  BUNDLED_MODEL,
  assertSameBits,
  boxes,
  pixels,
  withModelCopy,
  type ModelCopy,
} from '../../support/bundled-model';
import { requirePython } from '../../support/python';
import { readWeights, writeWeights, type Weight } from '../../support/safetensors';

const ROOT = path.join(__dirname, '..', '..', '..');
const WEIGHTS = 'model.safetensors';
const SOME_WEIGHT = 'vision_encoder.backbone.layers.0.attention.q_proj.weight';

interface Config {
  vision_config: { backbone_config: { window_size: number } };
}

interface Manifest {
  format_version: number;
  holds_weights: boolean;
  files?: Record<string, { sha256: string }>;
}

const load = (directory: string, options?: PretrainedModelOptions): Promise<Sam3TrackerModel> =>
  Sam3TrackerModel.from_pretrained(directory, { device: 'cpu', ...options });

/** Loads, runs `check` on the model, and lets go of it. */
async function withModel(
  directory: string,
  check: (model: Sam3TrackerModel) => Promise<void> | void,
  options?: PretrainedModelOptions,
): Promise<void> {
  const model = await load(directory, options);
  try {
    await check(model);
  } finally {
    model.dispose();
  }
}

/** Asserts that a directory loads and computes as the bundled one. */
async function assertLoadsAsBundled(directory: string): Promise<void> {
  const inputs = { pixel_values: pixels(), input_boxes: boxes() };
  await withModel(BUNDLED_MODEL, async (bundled) =>
    withModel(directory, async (model) => assertSameBits(await model(inputs), await bundled(inputs))),
  );
}

function editWeights(copy: ModelCopy, edit: (weights: Map<string, Weight>) => void): void {
  const weights = readWeights(copy.file(WEIGHTS));
  edit(weights);
  writeWeights(copy.file(WEIGHTS), weights);
}

/** Puts another file in the place of a graph, with its hash in the manifest. */
function replaceGraph(copy: ModelCopy, name: string, content: Buffer): void {
  writeFileSync(copy.file(`torchscript/${name}`), content);
  copy.editJson<Manifest>('torchscript/manifest.json', ({ files }) => {
    files![name].sha256 = createHash('sha256').update(content).digest('hex');
  });
}

/** Writes the weights as shards; the names of each are chosen by the weight's position. */
function shard(copy: ModelCopy, count: number): void {
  const weight_map: Record<string, string> = {};
  const shards = Array.from({ length: count }, () => new Map<string, Weight>());
  [...readWeights(copy.file(WEIGHTS))].forEach(([name, weight], position) => {
    shards[position % count].set(name, weight);
    weight_map[name] = shardName(position % count, count);
  });
  shards.forEach((weights, index) => writeWeights(copy.file(shardName(index, count)), weights));
  writeFileSync(copy.file(`${WEIGHTS}.index.json`), JSON.stringify({ metadata: {}, weight_map }));
  copy.remove(WEIGHTS);
}

function shardName(index: number, count: number): string {
  const five = (number: number): string => String(number).padStart(5, '0');
  return `model-${five(index + 1)}-of-${five(count)}.safetensors`;
}

describe('files of a model', () => {
  describe('are taken', () => {
    it('as the id of a bundled model', () =>
      withModel('sam3-tracker-tiny', (model) => {
        assert.equal(model.device, 'cpu');
        assert.equal(model.config.model_type, 'sam3_tracker');
        assert.ok(model.num_parameters() > 1e6);
      }));

    it('with the weights in shards', () =>
      withModelCopy(async (copy) => {
        shard(copy, 3);
        await assertLoadsAsBundled(copy.directory);
      }));

    it("under facebook/sam3's names, with the weights of its other parts beside", () =>
      withModelCopy(async (copy) => {
        editWeights(copy, (weights) => {
          const entries = [...weights];
          weights.clear();
          for (const [name, weight] of entries) {
            const neck = name.replace(/^vision_encoder\.neck\./, 'tracker_neck.');
            const backbone = neck.replace(
              /^vision_encoder\.backbone\./,
              'detector_model.vision_encoder.backbone.',
            );
            weights.set(backbone === name ? `tracker_model.${name}` : backbone, weight);
          }
          const foreign = { dtype: 'F16', shape: [1], bytes: Buffer.alloc(2) };
          weights.set('detector_model.vision_encoder.neck.fpn_layers.0.proj1.weight', foreign);
          weights.set('tracker_model.memory_encoder.projection.bias', foreign);
        });
        await assertLoadsAsBundled(copy.directory);
      }));

    it('with the weights in the graphs', async function () {
      const python = requirePython(this);
      const folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-export-'));
      try {
        const out = path.join(folder, 'model');
        const script = path.join(ROOT, 'scripts', 'export_model.py');
        const options = ['--checkpoint', BUNDLED_MODEL, '--out', out, '--with-weights', '--verify', 'none'];
        const { status, stderr } = spawnSync(python, [script, ...options], { encoding: 'utf8' });
        assert.equal(status, 0, stderr);
        await assertLoadsAsBundled(out);
        const text = { write: (): void => undefined };
        assert.equal(await main(['inspect', out], { stdout: text, stderr: text }), 0);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it('in half precision, computing in float32 on the CPU unless told otherwise', async () => {
      assert.ok(
        [...readWeights(path.join(BUNDLED_MODEL, WEIGHTS)).values()].every(({ dtype }) => dtype === 'F16'),
      );
      await withModel(BUNDLED_MODEL, (model) => assert.equal(model.dtype, 'float32'));
      for (const dtype of ['float16', 'bfloat16', 'float32'] as const) {
        const check = async (model: Sam3TrackerModel): Promise<void> => {
          assert.equal(model.dtype, dtype);
          const { pred_masks } = await model({ pixel_values: pixels(), input_boxes: boxes() });
          assert.equal(pred_masks.dtype, dtype);
        };
        await withModel(BUNDLED_MODEL, check, { dtype });
        await withModel(BUNDLED_MODEL, check, { torch_dtype: dtype });
      }
    });
  });

  describe('are refused', () => {
    const refusals: [what: string, change: (copy: ModelCopy) => void, code: string, message: RegExp][] = [
      ['without config.json', (copy) => copy.remove('config.json'), 'FILE_NOT_FOUND', /config\.json/],
      [
        'with a config.json that is no JSON',
        (copy) => writeFileSync(copy.file('config.json'), '{"model_type": '),
        'FILE_INVALID',
        /config\.json' is not a valid JSON file/,
      ],
      [
        'without a graph',
        (copy) => copy.remove('torchscript/mask_decoder.pt'),
        'FILE_NOT_FOUND',
        /mask_decoder\.pt.*sam3-tracker export/s,
      ],
      [
        'with a graph of other bytes than the manifest says',
        (copy) => truncateSync(copy.file('torchscript/vision_encoder.pt'), 1000),
        'HASH_MISMATCH',
        /vision_encoder\.pt.*sha256/s,
      ],
      [
        'with a graph that is no TorchScript file',
        (copy) => replaceGraph(copy, 'mask_decoder.pt', Buffer.from('PK, or so it says')),
        'FILE_INVALID',
        /mask_decoder\.pt is not a readable TorchScript file/,
      ],
      [
        'without a manifest',
        (copy) => copy.remove('torchscript/manifest.json'),
        'FILE_NOT_FOUND',
        /torchscript are not complete: there is no manifest\.json.*sam3-tracker export --checkpoint/s,
      ],
      [
        'with graphs of another configuration',
        (copy) =>
          copy.editJson<Config>('config.json', ({ vision_config }) => {
            vision_config.backbone_config.window_size = 12;
          }),
        'CONFIG_MISMATCH',
        /another configuration than config\.json/,
      ],
      [
        'with a manifest of another format',
        (copy) =>
          copy.editJson<Manifest>('torchscript/manifest.json', (manifest) => (manifest.format_version = 99)),
        'CONFIG_MISMATCH',
        /format version 99.*Export the model again/s,
      ],
      [
        'with a manifest without hashes',
        (copy) => copy.editJson<Manifest>('torchscript/manifest.json', (manifest) => delete manifest.files),
        'FILE_INVALID',
        /manifest\.json has no object "files"/,
      ],
      [
        'with one graph in the place of another',
        (copy) =>
          replaceGraph(copy, 'prompt_encoder.pt', readFileSync(copy.file('torchscript/mask_decoder.pt'))),
        'WEIGHTS_UNEXPECTED',
        /prompt_encoder/,
      ],
      [
        'without weights where the manifest says that the graphs hold them',
        (copy) => {
          copy.remove(WEIGHTS);
          copy.editJson<Manifest>('torchscript/manifest.json', (manifest) => (manifest.holds_weights = true));
        },
        'WEIGHTS_MISSING',
        /misses \d+ weights.*, /,
      ],
      ['without weights', (copy) => copy.remove(WEIGHTS), 'FILE_NOT_FOUND', /has no weights/],
      [
        'with a weight missing',
        (copy) => editWeights(copy, (weights) => weights.delete(SOME_WEIGHT)),
        'WEIGHTS_MISSING',
        new RegExp(`misses 1 weights.*${SOME_WEIGHT}`),
      ],
      [
        'with a weight of another shape',
        (copy) =>
          editWeights(copy, (weights) => {
            const { dtype, shape, bytes } = weights.get(SOME_WEIGHT)!;
            weights.set(SOME_WEIGHT, { dtype, shape: [shape[0] / 2, shape[1] * 2], bytes });
          }),
        'WEIGHTS_SHAPE',
        new RegExp(`${SOME_WEIGHT} \\(\\[64, 256\\] in the file, \\[128, 128\\] in the graph\\)`),
      ],
      [
        'with a weight under two names',
        (copy) =>
          editWeights(copy, (weights) =>
            weights.set(`tracker_model.${SOME_WEIGHT}`, weights.get(SOME_WEIGHT)!),
          ),
        'WEIGHTS_UNEXPECTED',
        new RegExp(`${SOME_WEIGHT} is there twice`),
      ],
      [
        'with truncated weights',
        (copy) => truncateSync(copy.file(WEIGHTS), readFileSync(copy.file(WEIGHTS)).length - 100),
        'FILE_INVALID',
        /not a valid safetensors file/,
      ],
      [
        'with a shard missing',
        (copy) => {
          shard(copy, 2);
          copy.remove(shardName(1, 2));
        },
        'FILE_NOT_FOUND',
        /has no shard model-00002-of-00002.*which model\.safetensors\.index\.json names/,
      ],
      [
        'with a shard outside the directory',
        (copy) => {
          copy.remove(WEIGHTS);
          const index = JSON.stringify({ weight_map: { [SOME_WEIGHT]: '../model.safetensors' } });
          writeFileSync(copy.file(`${WEIGHTS}.index.json`), index);
        },
        'FILE_INVALID',
        /no file name.*\.\.\/model\.safetensors/,
      ],
    ];

    for (const [what, change, code, message] of refusals) {
      it(what, () =>
        withModelCopy(async (copy) => {
          change(copy);
          await assert.rejects(load(copy.directory), { name: 'Sam3TrackerError', code, message });
        }),
      );
    }
  });

  it('with weights too many warns once, as transformers does, and loads', async () => {
    const extra = (count: number): string[] =>
      Array.from({ length: count }, (_, index) => `vision_encoder.extra.${index}`);
    for (const names of [extra(1), extra(20)])
      await withModelCopy(async (copy) => {
        editWeights(copy, (weights) => {
          for (const name of names)
            weights.set(name, { dtype: 'F8_E4M3', shape: [2], bytes: Buffer.alloc(2) });
        });
        const warnings: Error[] = [];
        const hear = (warning: Error): void => void warnings.push(warning);
        process.on('warning', hear);
        try {
          await assertLoadsAsBundled(copy.directory);
          await new Promise(setImmediate);
        } finally {
          process.off('warning', hear);
        }
        assert.equal(warnings.length, 1);
        const [{ name, message }] = warnings;
        assert.equal(name, 'Sam3TrackerWarning');
        assert.equal((warnings[0] as NodeJS.ErrnoException).code, 'WEIGHTS_UNEXPECTED');
        assert.match(message, new RegExp(`are not used.* ${names.length} weights: .*vision_encoder.extra.0`));
        assert.equal(/and 12 more/.test(message), names.length === 20);
      });
  });

  describe('that failed to load', () => {
    const failures: [what: string, change: (copy: ModelCopy) => void, code: string][] = [
      [
        'a weight is missing',
        (copy) => editWeights(copy, (weights) => weights.delete(SOME_WEIGHT)),
        'WEIGHTS_MISSING',
      ],
      [
        'a sha256 is wrong',
        (copy) => truncateSync(copy.file('torchscript/vision_encoder.pt'), 1000),
        'HASH_MISMATCH',
      ],
      ['the weights are truncated', (copy) => truncateSync(copy.file(WEIGHTS), 100_000), 'FILE_INVALID'],
    ];

    before(function () {
      if (process.platform === 'linux') return;
      process.stdout.write('    (skipped: only Linux tells what is mapped, in /proc/self/maps)\n');
      this.skip();
    });

    for (const [what, change, code] of failures) {
      it(`are mapped no longer after 20 times: ${what}`, () =>
        withModelCopy(async (copy) => {
          const isMapped = (): boolean => readFileSync('/proc/self/maps', 'utf8').includes(copy.directory);
          // In the file's own dtype the weights stay mapped: what is looked for is there where a load succeeds.
          await withModel(copy.directory, () => assert.ok(isMapped()), { dtype: 'float16' });
          change(copy);
          for (let time = 0; time < 20; time++)
            await assert.rejects(load(copy.directory, { dtype: 'float16' }), { code });
          assert.ok(!isMapped());
        }));
    }
  });
});
