/** Checkpoints of SAM3 without its tracker are refused by name, whichever way they spell their weights. */
import assert from 'node:assert/strict';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { withModelCopy } from '../../support/bundled-model';
import { readWeights, writeWeights, type Weight } from '../../support/safetensors';

const FOREIGN: Weight = { dtype: 'F16', shape: [1], bytes: Buffer.alloc(2) };
/** The detector has a mask decoder, too, with other names. */
const DECODER = 'mask_decoder.instance_projection.bias';

describe('a checkpoint without the tracker', () => {
  const forms: [what: string, nameOf: (name: string) => string | null, decoder: string][] = [
    [
      'that has the detector, with the backbone that both share and a neck of its own',
      (name) => (name.startsWith('vision_encoder.') ? `detector_model.${name}` : null),
      `detector_model.${DECODER}`,
    ],
    [
      'that has the detector under plain names',
      (name) => (name.startsWith('vision_encoder.') ? name : null),
      DECODER,
    ],
    ['that has not one weight of it', () => null, `detector_model.${DECODER}`],
  ];
  for (const [what, nameOf, decoder] of forms)
    it(what, () =>
      withModelCopy(async (copy) => {
        const file = copy.file('model.safetensors');
        const named = [...readWeights(file)].map(([name, weight]) => [nameOf(name), weight] as const);
        const kept = named.filter((entry): entry is [string, Weight] => entry[0] !== null);
        writeWeights(file, new Map([...kept, [decoder, FOREIGN]]));
        await assert.rejects(Sam3TrackerModel.from_pretrained(copy.directory, { device: 'cpu' }), {
          name: 'Sam3TrackerError',
          code: 'WEIGHTS_MISSING',
          message:
            /misses \d+ weights.*nothing of the tracker's mask decoder.*SAM3's detector alone.*facebook\/sam3/,
        });
      }),
    );

  it('is told by its configuration first', () =>
    withModelCopy(async (copy) => {
      copy.editJson<{ model_type: string }>('config.json', (config) => (config.model_type = 'sam3'));
      await assert.rejects(Sam3TrackerModel.from_pretrained(copy.directory), {
        name: 'RangeError',
        message: /sam3_tracker/,
      });
    }));

  it('is not what one missing weight makes of it', () =>
    withModelCopy(async (copy) => {
      const weights = readWeights(copy.file('model.safetensors'));
      weights.delete('mask_decoder.iou_token.weight');
      writeWeights(copy.file('model.safetensors'), weights);
      await assert.rejects(Sam3TrackerModel.from_pretrained(copy.directory, { device: 'cpu' }), {
        code: 'WEIGHTS_MISSING',
        message: /misses 1 weights that the graphs need: mask_decoder\.iou_token\.weight\.$/,
      });
    }));
});
