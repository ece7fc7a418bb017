/** Which graphs a configuration gets: the package's own by its content, else an error that says how to make them. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openPretrained } from '../../../lib/checkpoint/pretrained-files';
import { Sam3TrackerConfig } from '../../../lib/config/sam3-tracker';
import type { Sam3TrackerError } from '../../../lib/core/errors';
import { findGraphs, findModelGraphs } from '../../../lib/model/graphs';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import { BUNDLED_MODEL, assertSameBits, boxes, pixels, withModelCopy } from '../../support/bundled-model';

const MODELS = path.dirname(BUNDLED_MODEL);

const graphsOf = (id: string): object =>
  Object.fromEntries(
    ['vision_encoder', 'prompt_encoder', 'mask_decoder'].map((name) => [
      name,
      path.join(MODELS, id, 'torchscript', `${name}.pt`),
    ]),
  );

describe('graphs of a configuration', () => {
  it("are the package's for the default configuration, which is facebook/sam3's", () => {
    assert.deepEqual(findGraphs(new Sam3TrackerConfig()), graphsOf('sam3'));
  });

  it('of facebook/sam3 are small, as the package is', () => {
    const files = Object.values(graphsOf('sam3')) as string[];
    assert.ok(files.reduce((sum, file) => sum + statSync(file).size, 0) < 10e6);
  });

  it('are chosen by content: nested, renamed, and with fields that shape no graph', async () => {
    const plain = new Sam3TrackerConfig().to_dict();
    const nested = {
      model_type: 'sam3_video',
      tracker_config: { ...plain, model_type: 'sam3_tracker_video' },
    };
    assert.deepEqual(findGraphs(Sam3TrackerConfig.from_dict(nested)), graphsOf('sam3'));
    const renamed = { ...plain, _name_or_path: 'somebody/else', initializer_range: 0.5 };
    assert.deepEqual(findGraphs(Sam3TrackerConfig.from_dict(renamed)), graphsOf('sam3'));
    const tiny = await Sam3TrackerConfig.from_pretrained(BUNDLED_MODEL);
    assert.deepEqual(findGraphs(tiny), graphsOf('sam3-tracker-tiny'));
  });

  it('are missing for any other configuration, with the command that makes them', () => {
    const config = new Sam3TrackerConfig({ mask_decoder_config: { mlp_dim: 1024 } });
    assert.throws(() => findGraphs(config), {
      name: 'Sam3TrackerError',
      code: 'GRAPHS_NOT_FOUND',
      message: /no graphs for this configuration.*sam3-tracker export --checkpoint/,
    });
  });

  it('beside the weights come first', () =>
    withModelCopy(async (copy) => {
      const config = await Sam3TrackerConfig.from_pretrained(copy.directory);
      const source = await openPretrained(copy.directory);
      const { files, holdsWeights } = await findModelGraphs(source, config);
      assert.equal(files.mask_decoder, copy.file('torchscript/mask_decoder.pt'));
      assert.equal(holdsWeights, false);
      writeFileSync(copy.file('torchscript/mask_decoder.pt'), 'altered');
      await assert.rejects(findModelGraphs(source, config), { code: 'HASH_MISMATCH' });
    }));
});

describe('a checkpoint without graphs', () => {
  it('loads and computes with those of the package', () =>
    withModelCopy(async (copy) => {
      copy.remove('torchscript');
      using bundled = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
      using model = await Sam3TrackerModel.from_pretrained(copy.directory, { device: 'cpu' });
      const inputs = { pixel_values: pixels(), input_boxes: boxes() };
      assertSameBits(await model(inputs), await bundled(inputs));
    }));

  it('of another configuration is refused', () =>
    withModelCopy(async (copy) => {
      copy.remove('torchscript');
      copy.editJson<{ mask_decoder_config: { mlp_dim: number } }>('config.json', (config) => {
        config.mask_decoder_config.mlp_dim = 128;
      });
      await assert.rejects(Sam3TrackerModel.from_pretrained(copy.directory), (error: Error) => {
        assert.equal((error as Sam3TrackerError).code, 'GRAPHS_NOT_FOUND');
        // The command is one that can be pasted.
        assert.ok(error.message.includes(`sam3-tracker export --checkpoint ${copy.directory} --out `));
        return true;
      });
    }));
});

describe('the bundled sam3', () => {
  it('gives the processor, and says that its weights have to be fetched', async () => {
    const processor = await Sam3TrackerProcessor.from_pretrained('sam3');
    assert.deepEqual(processor.image_processor.size, { height: 1008, width: 1008 });
    await assert.rejects(Sam3TrackerModel.from_pretrained('sam3'), {
      code: 'FILE_NOT_FOUND',
      message: /has no weights/,
    });
  });
});
