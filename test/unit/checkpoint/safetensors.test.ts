/** Headers of safetensors files: one clear error for each wrong one, whatever it claims; and the names of weights. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readSafetensors, trackerWeightName } from '../../../lib/checkpoint/safetensors';
import type { SafetensorsFile } from '../../../lib/checkpoint/safetensors';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { BUNDLED_MODEL, withModelCopy } from '../../support/bundled-model';
import { readWeights, writeRaw, writeWeights } from '../../support/safetensors';

const WEIGHTS = 'model.safetensors';

describe('the header of a safetensors file', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-safetensors-'));
  const file = path.join(folder, 'weights.safetensors');
  after(() => rmSync(folder, { recursive: true }));

  const one = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const two = JSON.stringify({ ...one, data_offsets: [8, 16] });

  function read(header: string | Buffer | object, bytes = 16, claimed?: bigint): Promise<SafetensorsFile> {
    const text = typeof header === 'string' || Buffer.isBuffer(header) ? header : JSON.stringify(header);
    writeRaw(file, text, Buffer.alloc(bytes), claimed);
    return readSafetensors(file);
  }

  it('is read in the order of the data, with positions in the file', async () => {
    const header =
      '{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},' +
      '"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
      '"e":{"shape":[0,3],"data_offsets":[12,12],"dtype":"I64"}} \n\t ';
    const start = 8 + header.length;
    assert.deepEqual(await read(header, 12), {
      path: file,
      size: start + 12,
      entries: [
        { name: 'a', trackerName: 'a', dtype: 'float32', shape: [1, 2], begin: start, end: start + 8 },
        { name: 'b', trackerName: 'b', dtype: 'float16', shape: [2], begin: start + 8, end: start + 12 },
        { name: 'e', trackerName: 'e', dtype: 'int64', shape: [0, 3], begin: start + 12, end: start + 12 },
      ],
    });
    assert.deepEqual((await read('{}', 0)).entries, []);
  });

  it('may have names of any characters, and dtypes that are not ours', async () => {
    const { entries } = await read(
      '{"\\u00e9\\ud83d\\ude00\\n\\"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
      1,
    );
    assert.equal(entries[0].name, '\u00e9\u{1f600}\n"');
    const names = ['__proto__', 'constructor', '1', 'ö\\'];
    const weights = names.map((name, index) => [
      name,
      { dtype: 'constructor', shape: [8], data_offsets: [4 * index, 4 * index + 4] },
    ]);
    const found = await read(Object.fromEntries(weights) as object);
    assert.deepEqual(
      found.entries.map(({ name, dtype }) => [name, dtype]),
      names.map((name) => [name, 'constructor']),
    );
  });

  const refusals: [what: string, header: string | Buffer | object, message: RegExp, claimed?: bigint][] = [
    ['claims more bytes than the file has', '{}', /claims 4096 bytes/, 4096n],
    ['claims a huge length', '{}', /claims 9223372036854775807 bytes/, (1n << 63n) - 1n],
    ['claims a length of minus one', '{}', /claims 18446744073709551615 bytes/, (1n << 64n) - 1n],
    ['is empty', '', /not JSON/],
    ['begins and ends', '{', /not JSON/],
    ['is cut off', '{"a": {"dtype": "F32"', /not JSON/],
    ['is cut off in a string', '{"a\\"', /string without an end/],
    ['is no object', '[1, 2]', /not a JSON object/],
    ['is no text', '\u0000\u0001', /./],
    ['is not UTF-8', Buffer.from('{"a\xff":{}}', 'latin1'), /not UTF-8/],
    ['begins with a byte order mark', '\ufeff{}', /expected a string/],
    ['goes on after its end', '{} {}', /not JSON/],
    ['nests without end', `{"a":{"b":${'{"c":'.repeat(20_000)}`, /"c" is nested too deeply/],
    [
      'has more weights than any checkpoint',
      `{${Array.from({ length: 100_001 }, (_, index) => `"${index}":1`).join()}}`,
      /more than 100000 weights/,
    ],
    ['nests lists', `{"a":${'['.repeat(5)}${']'.repeat(5)}}`, /nested too deeply/],
    ['names a weight twice', `{"a":${JSON.stringify(one)},"a":${two}}`, /"a": it stands twice/],
    ['names a weight twice in two spellings', `{"a":${two},"\\u0061":${two}}`, /"a": it stands twice/],
    ['has a field twice', '{"a":{"dtype":"F32","dtype":"F32"}}', /"a": the field dtype stands twice/],
    ['has half a surrogate pair', '{"\\ud800":{}}', /surrogate/],
    ['has an unknown escape', '{"\\q":{}}', /not JSON/],
    ['has a control character', '{"\n":{}}', /not JSON/],
    ['has metadata that are no strings', { __metadata__: { format: {} } }, /__metadata__/],
    ['has metadata that are no object', { __metadata__: 'pt' }, /__metadata__/],
    ['has a weight that is no object', { a: [] }, /all needed/],
    ['has a weight that is null', { a: null }, /expected a string or integers for "a"/],
    ['has overlapping weights', { a: one, b: { ...one, data_offsets: [4, 12] } }, /"b".*overlaps/],
    ['leaves a gap', { a: one, b: { ...one, shape: [1], data_offsets: [12, 16] } }, /"b".*gap/],
    ['does not use all bytes', { a: one }, /end at byte 8 of 16/],
    ['has negative offsets', { a: { ...one, data_offsets: [-8, 0] } }, /integers for "data_offsets"/],
    ['has a negative shape', { a: { ...one, shape: [-2] } }, /integers for "shape"/],
    ['has offsets in reverse', { a: { ...one, data_offsets: [8, 0] } }, /data_offsets/],
    ['has offsets past the end', { a: { ...one, data_offsets: [0, 1e15] } }, /lie outside.* 16 bytes/],
    ['has one offset', { a: { ...one, data_offsets: [0] } }, /two numbers/],
    ['has an offset that is no integer', { a: { ...one, data_offsets: [0.5, 8] } }, /integers/],
    ['has an integer written as a float', '{"a":{"dtype":"F32","shape":[2.0]}}', /integers for "shape"/],
    ['has an integer with an exponent', '{"a":{"dtype":"F32","shape":[2e0]}}', /integers for "shape"/],
    ['has a truth value for a size', { a: { ...one, shape: [true] } }, /integers for "shape"/],
    ['has a string for a size', { a: { ...one, shape: ['2'] } }, /shape must be integers/],
    ['has a number for a shape', { a: { ...one, shape: 2 } }, /shape must be integers/],
    ['has an offset above 2^53', { a: { ...one, data_offsets: [0, 2 ** 53] } }, /data_offsets must be/],
    ['has a size above 2^53', { a: { ...one, shape: [2 ** 53] } }, /shape must be/],
    ['has a shape of more bytes', { a: { ...one, shape: [3] } }, /hold 8 bytes, its shape needs 12/],
    ['has a shape that overflows', { a: { ...one, shape: [2 ** 40, 2 ** 40] } }, /overflows/],
    [
      'has a shape that overflows beside a zero',
      { a: { ...one, shape: [0, 2 ** 40, 2 ** 40] } },
      /overflows/,
    ],
    [
      'has an unknown dtype of an overflowing shape',
      { a: { ...one, dtype: 'F31', shape: [2 ** 52, 4] } },
      /overflows/,
    ],
    ['lacks a shape', { a: { dtype: 'F32', data_offsets: [0, 8] } }, /shape/],
    ['has an unknown field', { a: { ...one, stride: [1] } }, /"stride"/],
  ];
  for (const [what, header, message, claimed] of refusals)
    it(`is refused where it ${what}`, async () => {
      const refused = (expected: RegExp): object => ({
        name: 'Sam3TrackerError',
        code: 'FILE_INVALID',
        message: expected,
      });
      const whole = /weights\.safetensors is not a valid safetensors file: .+\.$/;
      await assert.rejects(read(header, 16, claimed), refused(whole));
      await assert.rejects(read(header, 16, claimed), refused(message));
    });

  it('is refused where the file is too short, no file, or missing', async () => {
    writeFileSync(file, 'abc');
    await assert.rejects(readSafetensors(file), { code: 'FILE_INVALID', message: /only 3 bytes/ });
    await assert.rejects(readSafetensors(folder), { code: 'FILE_INVALID', message: /not a file/ });
    await assert.rejects(readSafetensors(`${file}.none`), { code: 'FILE_NOT_FOUND' });
  });
});

describe('the name of a weight', () => {
  const names: [what: string, inFile: string, plain: string | null][] = [
    ['plain', 'vision_encoder.backbone.layer_norm.weight', 'vision_encoder.backbone.layer_norm.weight'],
    [
      "the hub's",
      'detector_model.vision_encoder.backbone.layer_norm.weight',
      'vision_encoder.backbone.layer_norm.weight',
    ],
    [
      "save_pretrained's",
      'tracker_model.detector_model.vision_encoder.backbone.layer_norm.weight',
      'vision_encoder.backbone.layer_norm.weight',
    ],
    ["the neck's", 'tracker_neck.fpn_layers.0.proj1.bias', 'vision_encoder.neck.fpn_layers.0.proj1.bias'],
    [
      "save_pretrained's of the neck",
      'tracker_model.tracker_neck.fpn_layers.0.proj1.bias',
      'vision_encoder.neck.fpn_layers.0.proj1.bias',
    ],
    ['with the prefix', 'tracker_model.mask_decoder.iou_token.weight', 'mask_decoder.iou_token.weight'],
    ["the detector's own neck's", 'detector_model.vision_encoder.neck.fpn_layers.0.proj1.bias', null],
    ["the detector's", 'detector_model.text_encoder.x', null],
    ["the memory's", 'tracker_model.memory_attention.layers.0.x', null],
  ];
  for (const [what, inFile, plain] of names)
    it(`${what} is ${plain === null ? "not the tracker's" : 'known'}`, () =>
      assert.equal(trackerWeightName(inFile), plain));
});

describe('a model', () => {
  it('is refused where a weight of the tracker has a dtype that is not ours, which is named', () =>
    withModelCopy(async (copy) => {
      const weights = readWeights(copy.file(WEIGHTS));
      const name = 'mask_decoder.iou_token.weight';
      const weight = weights.get(name)!;
      writeWeights(copy.file(WEIGHTS), weights.set(name, { ...weight, dtype: 'F8_E4M3' }));
      await assert.rejects(Sam3TrackerModel.from_pretrained(copy.directory, { device: 'cpu' }), {
        name: 'Sam3TrackerError',
        code: 'FILE_INVALID',
        message: /The weight mask_decoder\.iou_token\.weight in .* has the dtype F8_E4M3/,
      });
    }));

  it('is loaded where weights of another part of the checkpoint have a dtype that is not ours', () =>
    withModelCopy(async (copy) => {
      const weights = readWeights(copy.file(WEIGHTS));
      // Four bits an element, so that no size in bytes follows from its shape.
      const foreign = { dtype: 'F4', shape: [3, 2], bytes: Buffer.alloc(3) };
      const own = 'detector_model.text_encoder.weight';
      writeWeights(copy.file(WEIGHTS), new Map([[own, foreign], ...weights, [`${own}_scale`, foreign]]));
      using model = await Sam3TrackerModel.from_pretrained(copy.directory, { device: 'cpu' });
      using plain = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
      assert.equal(model.num_parameters(), plain.num_parameters());
    }));
});
