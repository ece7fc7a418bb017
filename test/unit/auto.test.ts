/** The Auto classes: what they choose, compared with transformers, and what they refuse. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  AutoConfig,
  AutoImageProcessor,
  AutoModel,
  AutoModelForMaskGeneration,
  AutoProcessor,
} from '../../lib/auto';
import { Sam3TrackerConfig } from '../../lib/config/sam3-tracker';
import { Sam3ViTConfig, Sam3VisionConfig } from '../../lib/config/sam3-vision';
import { Sam3ImageProcessor } from '../../lib/image/image-processing-sam3';
import { Sam3TrackerModel } from '../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../lib/processor/processing-sam3-tracker';
import { BUNDLED_MODEL, withModelCopy } from '../support/bundled-model';
import type { ModelCopy } from '../support/bundled-model';
import { reference } from '../support/python';
import type { Reference } from '../support/python';

type Json = Record<string, unknown>;

const AUTO = { AutoConfig, AutoImageProcessor, AutoModel, AutoModelForMaskGeneration, AutoProcessor };

const edit = (copy: ModelCopy, file: string, change: (json: Json) => void): void =>
  copy.editJson<Json>(file, change);
/** As text, since a parsed 4.0 would be written as 4, which transformers refuses. */
const asVideo = (copy: ModelCopy): void => {
  const tracker = readFileSync(copy.file('config.json'), 'utf8');
  writeFileSync(copy.file('config.json'), `{"model_type": "sam3_video", "tracker_config": ${tracker}}`);
};
const asType = (copy: ModelCopy, model_type: unknown): void =>
  edit(copy, 'config.json', (json) => (json.model_type = model_type));

describe('the Auto classes', () => {
  let judge: Reference;
  before(function () {
    judge = reference(path.join(__dirname, '..', 'support', 'auto_reference.py'), this);
  });

  const folders: [what: string, change: (copy: ModelCopy) => void, kinds: (keyof typeof AUTO)[]][] = [
    ['a tracker', () => undefined, Object.keys(AUTO) as (keyof typeof AUTO)[]],
    [
      'a tracker with a preprocessor_config.json alone',
      (copy) => copy.remove('processor_config.json'),
      ['AutoProcessor', 'AutoImageProcessor'],
    ],
    [
      'a tracker whose files name no processor',
      (copy) => {
        edit(copy, 'processor_config.json', (json) => delete json.processor_class);
        edit(copy, 'preprocessor_config.json', (json) => delete json.processor_class);
      },
      ['AutoImageProcessor'],
    ],
    ['a video model', asVideo, ['AutoModelForMaskGeneration', 'AutoImageProcessor']],
  ];
  for (const [what, change, kinds] of folders)
    it(`choose for ${what} what transformers chooses`, () =>
      withModelCopy(async (copy) => {
        change(copy);
        for (const kind of kinds) {
          const ours = await AUTO[kind].from_pretrained(copy.directory);
          assert.equal(
            ours.constructor.name,
            await judge.result('chosen', { kind, folder: copy.directory }),
            kind,
          );
          if (ours instanceof Sam3TrackerModel) ours.dispose();
        }
      }));

  it('take what the classes take', async () => {
    using model = await AutoModel.from_pretrained('sam3-tracker-tiny', { device: 'cpu', dtype: 'bfloat16' });
    assert.ok(model instanceof Sam3TrackerModel);
    assert.equal(model.dtype, 'bfloat16');
    using other = await AutoModelForMaskGeneration.from_pretrained(BUNDLED_MODEL, {
      attn_implementation: 'eager',
    });
    assert.equal(other.attn_implementation, 'eager');
    const processor = await AutoProcessor.from_pretrained('sam3-tracker-tiny', { target_size: 77 });
    assert.ok(processor instanceof Sam3TrackerProcessor);
    assert.equal(processor.target_size, 77);
    const images = await AutoImageProcessor.from_pretrained('sam3-tracker-tiny', { do_resize: false });
    assert.ok(images instanceof Sam3ImageProcessor);
    assert.equal(images.do_resize, false);
    const config = (await AutoConfig.from_pretrained('sam3-tracker-tiny', {
      initializer_range: 0.5,
    })) as Sam3TrackerConfig;
    assert.equal(config.initializer_range, 0.5);
    using made = AutoModel.from_config(config, { seed: 1, device: 'cpu' });
    assert.equal(made.num_parameters(), model.num_parameters());
    using again = AutoModelForMaskGeneration.from_config(config, { device: 'cpu' });
    assert.equal(again.config, config);
  });

  it('read the configuration that a type names', () =>
    withModelCopy(async (copy) => {
      const tracker = await Sam3TrackerConfig.from_pretrained(copy.directory);
      asVideo(copy);
      const ofVideo = await AutoConfig.from_pretrained(copy.directory);
      assert.ok(ofVideo instanceof Sam3TrackerConfig);
      assert.deepEqual(ofVideo.vision_config.to_dict(), tracker.vision_config.to_dict());
      assert.ok(
        AutoConfig.for_model('sam3_tracker', { initializer_range: 0.1 }) instanceof Sam3TrackerConfig,
      );
      assert.ok(AutoConfig.for_model('sam3_vision_model') instanceof Sam3VisionConfig);
      assert.ok(AutoConfig.for_model('sam3_vit_model') instanceof Sam3ViTConfig);
      assert.throws(() => AutoConfig.for_model('bert'), {
        name: 'RangeError',
        message: /^Unrecognized model identifier: bert\. Should contain one of sam3_tracker, /,
      });
      assert.throws(() => AutoConfig.for_model('sam3_video'), RangeError);
      assert.throws(() => AutoConfig.for_model(3 as never), TypeError);
    }));

  describe('refuse', () => {
    it('to load a video model as such, and name what loads its tracker', () =>
      withModelCopy(async (copy) => {
        asVideo(copy);
        await assert.rejects(AutoModel.from_pretrained(copy.directory), {
          name: 'RangeError',
          message: /Sam3VideoModel.*AutoModelForMaskGeneration/s,
        });
      }));

    it('a configuration without a type, in the words of the reference', () =>
      withModelCopy(async (copy) => {
        edit(copy, 'config.json', (json) => delete json.model_type);
        const message = `Unrecognized model in ${copy.directory}. Should have a \`model_type\` key in its config.json.`;
        for (const kind of ['AutoConfig', 'AutoModel', 'AutoModelForMaskGeneration'] as const)
          await assert.rejects(AUTO[kind].from_pretrained(copy.directory), { name: 'RangeError', message });
        const { error } = await judge.call('chosen', { kind: 'AutoConfig', folder: copy.directory });
        assert.deepEqual(error, { type: 'ValueError', message });
      }));

    it('another type, and say which there are', () =>
      withModelCopy(async (copy) => {
        asType(copy, 'bert');
        const refused = {
          name: 'RangeError',
          message: /model type `bert`.*It has: sam3_tracker, sam3_video/s,
        };
        for (const kind of ['AutoConfig', 'AutoModel', 'AutoModelForMaskGeneration'] as const)
          await assert.rejects(AUTO[kind].from_pretrained(copy.directory), refused);
      }));

    it('a processor of another class', () =>
      withModelCopy(async (copy) => {
        edit(copy, 'processor_config.json', (json) => (json.processor_class = 'SamProcessor'));
        await assert.rejects(AutoProcessor.from_pretrained(copy.directory), {
          name: 'RangeError',
          message: /SamProcessor.*Sam3TrackerProcessor/,
        });
        copy.remove('processor_config.json', 'preprocessor_config.json');
        asType(copy, 'bert');
        await assert.rejects(AutoProcessor.from_pretrained(copy.directory), {
          name: 'RangeError',
          message: /^Unrecognized processing class in /,
        });
        await assert.rejects(AutoImageProcessor.from_pretrained(copy.directory), {
          name: 'RangeError',
          message: /^Unrecognized image processor in /,
        });
      }));

    it('models that are not there, and other configurations', async () => {
      for (const auto of Object.values(AUTO))
        await assert.rejects(auto.from_pretrained('no-such-model'), {
          name: 'Sam3TrackerError',
          code: 'FILE_NOT_FOUND',
        });
      assert.throws(() => AutoModel.from_config(new Sam3ViTConfig()), {
        name: 'RangeError',
        message: /^Unrecognized configuration class Sam3ViTConfig for this kind of AutoModel: AutoModel\./,
      });
      assert.throws(() => AutoModel.from_config(null as never), RangeError);
    });
  });
});
