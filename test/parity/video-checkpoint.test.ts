/** A sam3_video checkpoint that transformers wrote, read as it is: the same numbers, and the tracker's own neck. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { main } from '../../lib/cli/main';
import type { ModelRecord } from '../../lib/cli/inspect';
import { Sam3TrackerModel } from '../../lib/modeling-sam3-tracker';
import { reference as startReference, type Reference } from '../support/python';
import { readTensors, readWeights, writeWeights } from '../support/safetensors';
import { LIMITS, difference } from './compare';

const SCRIPT = path.join(__dirname, '..', 'support', 'video_reference.py');
/** facebook/sam3's own 32 layers take minutes and gigabytes: they are run where this is set. */
const LAYERS = process.env.SAM3_TRACKER_FULL_SIZE_TESTS ? 32 : 2;

describe('a sam3_video checkpoint', () => {
  let folder: string;
  let reference: Reference;

  before(async function () {
    this.timeout(1_200_000);
    reference = startReference(SCRIPT, this);
    folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-video-'));
    const shard_size = LAYERS === 32 ? '5GB' : '60MB';
    await reference.result('create', { folder, dtype: 'float32', shard_size, layers: LAYERS });
  });
  after(async () => {
    if (!folder) return;
    await reference.close();
    rmSync(folder, { recursive: true });
  });

  it('in shards gives the numbers of transformers', async function () {
    this.timeout(1_200_000);
    const file = path.join(folder, 'outputs.tensors');
    await reference.result('run', { folder, file });
    const theirs = readTensors(file);
    const get = (name: string): NonNullable<ReturnType<typeof theirs.get>> => theirs.get(name)!;
    using model = await Sam3TrackerModel.from_pretrained(folder, { device: 'cpu' });
    const outputs = await model({ pixel_values: get('pixel_values'), input_boxes: get('input_boxes') });
    const pairs = {
      pred_masks: outputs.pred_masks,
      iou_scores: outputs.iou_scores,
      object_score_logits: outputs.object_score_logits,
      image_embeddings: outputs.image_embeddings[2],
    };
    for (const [name, ours] of Object.entries(pairs)) {
      const { max, scale } = await difference(ours, get(name), name);
      const limit = name === 'iou_scores' ? LIMITS.iouScores : LIMITS.relative * scale;
      assert.ok(max <= limit, `${name} differ by ${max} at a scale of ${scale}`);
      if (LAYERS === 32) process.stdout.write(`      ${name}: ${max} at a scale of ${scale}\n`);
    }
  });

  it('has what is not the tracker left alone', async () => {
    let stdout = '';
    const sink = { write: (text: string) => (stdout += text) };
    assert.equal(await main(['inspect', folder, '--json'], { stdout: sink, stderr: sink }), 0, stdout);
    const record = JSON.parse(stdout) as ModelRecord;
    assert.ok(record.ignored.tensors > 100 && record.weights.length >= 1);
    assert.deepEqual([record.missing, record.unexpected, record.duplicates], [[], [], []]);
  });

  it("whose own neck is missing is refused, though the detector's is there", async function () {
    if (LAYERS === 32) this.skip();
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
