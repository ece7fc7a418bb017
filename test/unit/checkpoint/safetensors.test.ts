/** Weights whose safetensors header is wrong: one clear error each, whatever it claims. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { BUNDLED_MODEL, withModelCopy, type ModelCopy } from '../../support/bundled-model';
import { readWeights, writeRaw, writeWeights } from '../../support/safetensors';

const WEIGHTS = 'model.safetensors';

const refused = (copy: ModelCopy, message: RegExp): Promise<void> =>
  assert.rejects(Sam3TrackerModel.from_pretrained(copy.directory, { device: 'cpu' }), {
    name: 'Sam3TrackerError',
    code: 'FILE_INVALID',
    message,
  });

describe('a safetensors file is refused', () => {
  const one = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const headers: [what: string, header: string | object, message: RegExp, claimed?: bigint][] = [
    ['claims more bytes than the file has', '{}', /claims 4096 bytes/, 4096n],
    ['claims a huge length', '{}', /claims 9223372036854775807 bytes/, (1n << 63n) - 1n],
    ['claims a length of minus one', '{}', /claims 18446744073709551615 bytes/, (1n << 64n) - 1n],
    ['is empty', '', /./],
    ['is cut off', '{"a": {"dtype": "F32"', /./],
    ['is no object', '[1, 2]', /./],
    ['is no text', '\u0000\u0001', /./],
    ['goes on after its end', '{} {}', /./],
    ['nests without end', '{"a":'.repeat(20_000), /./],
    [
      'names a weight twice',
      `{"a": ${JSON.stringify(one)}, "a": ${JSON.stringify(one)}}`,
      /"a": it stands twice/,
    ],
    ['has overlapping weights', { a: one, b: { ...one, data_offsets: [4, 12] } }, /"b".*overlaps/],
    ['leaves a gap', { a: one, b: { ...one, data_offsets: [12, 20] } }, /gap|outside/],
    ['does not use all bytes', { a: one }, /end at byte 8 of 16/],
    ['has negative offsets', { a: { ...one, data_offsets: [-8, 0] } }, /whole number/],
    ['has offsets in reverse', { a: { ...one, data_offsets: [8, 0] } }, /data_offsets/],
    ['has offsets past the end', { a: { ...one, data_offsets: [0, 1e15] } }, /data_offsets/],
    ['has one offset', { a: { ...one, data_offsets: [0] } }, /two numbers/],
    ['has an offset that is no integer', { a: { ...one, data_offsets: [0.5, 8] } }, /whole number/],
    [
      'has an offset above 64 bits',
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999]}}',
      /64 bits/,
    ],
    ['has a shape of more bytes', { a: { ...one, shape: [3] } }, /12/],
    ['has a shape that overflows', { a: { ...one, shape: [2 ** 40, 2 ** 40] } }, /overflows/],
    ['lacks a shape', { a: { dtype: 'F32', data_offsets: [0, 8] } }, /shape/],
    ['has an unknown field', { a: { ...one, stride: [1] } }, /"stride"/],
  ];
  for (const [what, header, message, claimed] of headers) {
    it(`where its header ${what}`, () =>
      withModelCopy(async (copy) => {
        const text = typeof header === 'string' ? header : JSON.stringify(header);
        writeRaw(copy.file(WEIGHTS), text, Buffer.alloc(16), claimed);
        await refused(copy, /model\.safetensors is not a valid safetensors file: /);
        await refused(copy, message);
      }));
  }

  it('where a weight of the tracker has a dtype that is not ours, which is named', () =>
    withModelCopy(async (copy) => {
      const weights = readWeights(copy.file(WEIGHTS));
      const name = 'mask_decoder.iou_token.weight';
      const weight = weights.get(name)!;
      writeWeights(copy.file(WEIGHTS), weights.set(name, { ...weight, dtype: 'F8_E4M3' }));
      await refused(copy, /The weight mask_decoder\.iou_token\.weight in .* has the dtype F8_E4M3/);
    }));

  it('where it is shorter than the length of a header', () =>
    withModelCopy(async (copy) => {
      writeFileSync(copy.file(WEIGHTS), 'abc');
      await refused(copy, /only 3 bytes/);
    }));
});

describe('a safetensors file is read', () => {
  it('where weights of another part of the checkpoint have a dtype that is not ours', () =>
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
