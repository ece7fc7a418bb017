/** A sam3_video checkpoint that transformers wrote, read as it is: the same numbers, and the tracker's own neck. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { main } from '../../lib/cli/main';
import type { ModelRecord } from '../../lib/cli/commands/inspect';
import { Sam3TrackerModel } from '../../lib/model/modeling-sam3-tracker';
import { LIBRARY, runChild } from '../support/child';
import { reference as startReference, type Reference } from '../support/python';
import { readWeights, writeWeights } from '../support/safetensors';
import { LIMITS, type Difference } from './compare';

const SUPPORT = path.join(__dirname, '..', 'support');
/** facebook/sam3's own 32 layers take minutes and gigabytes: they are run where this is set. */
const LAYERS = process.env.SAM3_TRACKER_FULL_SIZE_TESTS ? 32 : 2;
const MINUTES = 60_000;

/** What the child prints. */
interface Report {
  python: string;
  seconds: number;
  differences: Record<string, Difference>;
}

/** Loads and runs the checkpoint in a process that finds no Python: what `python3` gives there, and how far the outputs are apart. */
async function runWithoutPython(folder: string, file: string): Promise<Report> {
  const empty = path.join(folder, 'empty');
  mkdirSync(empty, { recursive: true });
  const source = `
    const { Sam3TrackerModel } = require(${JSON.stringify(LIBRARY)});
    const { readTensors } = require(${JSON.stringify(path.join(SUPPORT, 'safetensors'))});
    const { difference } = require(${JSON.stringify(path.join(__dirname, 'compare'))});
    const python = String(require('node:child_process').spawnSync('python3').error?.code);
    const theirs = readTensors(${JSON.stringify(file)});
    const get = (name) => theirs.get(name);
    const before = performance.now();
    const model = await Sam3TrackerModel.from_pretrained(${JSON.stringify(folder)}, { device: 'cpu', dtype: 'float32' });
    const seconds = (performance.now() - before) / 1000;
    const outputs = await model({ pixel_values: get('pixel_values'), input_boxes: get('input_boxes') });
    const pairs = {
      pred_masks: outputs.pred_masks,
      iou_scores: outputs.iou_scores,
      object_score_logits: outputs.object_score_logits,
      image_embeddings: outputs.image_embeddings[2],
    };
    const differences = {};
    for (const [name, ours] of Object.entries(pairs)) differences[name] = await difference(ours, get(name), name);
    console.log(JSON.stringify({ python, seconds, differences }));
  `;
  const { code, stdout, stderr } = await runChild(source, 1200, { PATH: empty, PYTHONHOME: empty });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Report;
}

describe('a sam3_video checkpoint', () => {
  let reference: Reference;
  const folders: string[] = [];

  /** A checkpoint that transformers saves. */
  const create = async (dtype: string, shard_size: string): Promise<string> => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-video-'));
    folders.push(folder);
    await reference.result('create', { folder, dtype, shard_size, layers: LAYERS });
    return folder;
  };

  before(function () {
    reference = startReference(path.join(SUPPORT, 'video_reference.py'), this);
  });
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  const forms: [what: string, dtype: string, shard_size: string][] = [
    ['of float32 in shards', 'float32', LAYERS === 32 ? '5GB' : '60MB'],
  ];
  if (LAYERS !== 32)
    forms.push(['of bfloat16 in one file', 'bfloat16', '5GB'], ['of float16 in one file', 'float16', '5GB']);
  for (const [what, dtype, shard_size] of forms)
    it(`${what} gives the numbers of transformers, where there is no Python`, async function () {
      this.timeout(20 * MINUTES);
      const folder = await create(dtype, shard_size);
      const file = path.join(folder, 'outputs.tensors');
      await reference.result('run', { folder, file });
      const { python, seconds, differences } = await runWithoutPython(folder, file);
      assert.equal(python, 'ENOENT');
      assert.deepEqual(Object.keys(differences).length, 4);
      for (const [name, { max, scale }] of Object.entries(differences)) {
        const limit = name === 'iou_scores' ? LIMITS.iouScores : LIMITS.relative * scale;
        assert.ok(max <= limit, `${name} differ by ${max} at a scale of ${scale}`);
        if (LAYERS === 32) process.stdout.write(`      ${name}: ${max} at a scale of ${scale}\n`);
      }
      if (LAYERS === 32) process.stdout.write(`      loaded in ${seconds.toFixed(1)} s\n`);
    });

  it('has what is not the tracker left alone', async () => {
    let stdout = '';
    const sink = { write: (text: string) => (stdout += text) };
    assert.equal(await main(['inspect', folders[0], '--json'], { stdout: sink, stderr: sink }), 0, stdout);
    const record = JSON.parse(stdout) as ModelRecord;
    assert.ok(record.ignored.tensors > 100 && record.weights.length >= 1);
    assert.deepEqual([record.missing, record.unexpected, record.duplicates], [[], [], []]);
  });

  it("whose own neck is missing is refused, though the detector's is there", async function () {
    if (LAYERS === 32) this.skip();
    const [folder] = folders;
    const index = path.join(folder, 'model.safetensors.index.json');
    const { weight_map } = JSON.parse(readFileSync(index, 'utf8')) as { weight_map: Record<string, string> };
    const names = Object.keys(weight_map).filter((name) => name.startsWith('tracker_neck.'));
    assert.ok(names.length > 10);
    assert.ok(Object.keys(weight_map).some((name) => name.startsWith('detector_model.vision_encoder.neck.')));
    for (const shard of readdirSync(folder).filter((name) => name.endsWith('.safetensors'))) {
      const file = path.join(folder, shard);
      const weights = readWeights(file);
      for (const name of names) weights.delete(name);
      writeWeights(file, weights);
    }
    for (const name of names) delete weight_map[name];
    writeFileSync(index, JSON.stringify({ weight_map }));
    await assert.rejects(Sam3TrackerModel.from_pretrained(folder, { device: 'cpu' }), {
      code: 'WEIGHTS_MISSING',
      message: new RegExp(`misses ${names.length} weights.*vision_encoder\\.neck\\.`),
    });
  });
});
