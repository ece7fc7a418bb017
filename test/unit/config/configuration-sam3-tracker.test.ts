/** Configurations: what they hold, refuse and write, compared with transformers. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  Sam3TrackerConfig,
  Sam3TrackerMaskDecoderConfig,
  Sam3TrackerPromptEncoderConfig,
} from '../../../lib/config/sam3-tracker';
import { Sam3TrackerVisionConfig, Sam3ViTConfig, Sam3VisionConfig } from '../../../lib/config/sam3-vision';
import { type ConfigDict } from '../../../lib/config/fields';
import { Sam3TrackerError } from '../../../lib/core/errors';
import { decodeSpecialFloats } from '../../../lib/core/json';
import { CONFIGURATION_CASES } from '../../support/configuration-cases';
import { reference, type Reference } from '../../support/python';
import recorded from '../../fixtures/configurations-5.23.0.json';

const CLASSES = {
  Sam3TrackerConfig,
  Sam3TrackerMaskDecoderConfig,
  Sam3TrackerPromptEncoderConfig,
  Sam3ViTConfig,
  Sam3VisionConfig,
};

interface Built {
  diff: string;
  full: string;
}

const classOf = (name: string): typeof Sam3TrackerConfig =>
  CLASSES[name as keyof typeof CLASSES] as unknown as typeof Sam3TrackerConfig;
const parse = (text: string): ConfigDict => decodeSpecialFloats(JSON.parse(text)) as ConfigDict;
/** JavaScript's reader has no NaN; the cases' text is Python's. */
const parseFields = (text: string): ConfigDict => parse(text.replace('NaN', '{"__float__": "NaN"}'));

/** What a configuration says apart from the version that wrote it and that version's two spellings. */
function meaning(dict: ConfigDict): ConfigDict {
  const { rope_theta, rope_parameters, ...rest } = dict;
  delete rest.transformers_version;
  delete rest.model_type;
  const theta = (rope_parameters as { rope_theta: number } | undefined)?.rope_theta ?? rope_theta;
  const entries = Object.entries(rest).map(([name, value]) => [
    name,
    name.endsWith('_config') ? meaning(value as ConfigDict) : value,
  ]);
  return { ...Object.fromEntries(entries), ...(theta === undefined ? {} : { theta }) };
}

describe('configurations compared with transformers', () => {
  let python: Reference;
  let version: string;

  before(async function () {
    python = reference('test/support/configuration_reference.py', this);
    version = (await python.result('version')) as string;
  });

  for (const [fields, isTaken] of [
    ['{"id2label": {"0": [1]}}', false],
    ['{"id2label": {"0": 5}}', false],
    ['{"id2label": {"0": null}}', false],
    ['{"id2label": {"0": "a"}, "label2id": {"a": [1]}}', false],
    ['{"id2label": {"0": "a"}, "label2id": {"a": 1.5}}', false],
    ['{"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": "c"}}', false],
    ['{"id2label": {"0": "a"}, "label2id": {"a": "0"}}', true],
  ] as const)
    it(`${isTaken ? 'takes' : 'refuses'} labels as there: ${fields}`, async () => {
      const { error } = await python.call('build', { name: 'Sam3TrackerConfig', text: fields });
      assert.equal(error === undefined || error === null, isTaken, JSON.stringify(error));
      const build = (): unknown => Sam3TrackerConfig.from_dict(parse(fields));
      if (isTaken) build();
      else assert.throws(build, TypeError);
    });

  for (const [index, [name, fields]] of CONFIGURATION_CASES.entries()) {
    it(`case ${index}: ${name} ${fields.replace(/\s+/g, ' ').slice(0, 60)}`, async () => {
      const built = (await python.result('build', { name, text: fields })) as Built;
      // What transformers writes, in short or in full, is written again byte for byte.
      for (const text of [built.diff, built.full]) {
        const read = classOf(name).from_dict(parse(text));
        assert.equal(read.to_json_string(false), built.full);
        if (version === '5.8.0') assert.equal(read.to_json_string(), built.diff);
      }
      // The same fields give the same configuration, and transformers reads ours as its own.
      const ours = classOf(name).from_dict(parseFields(fields));
      assert.deepEqual(meaning(parse(ours.to_json_string(false))), meaning(parse(built.full)));
      const reread = (await python.result('read', { name, text: ours.to_json_string() })) as Built;
      assert.deepEqual(meaning(parse(reread.full)), meaning(parse(built.full)));
      // A configuration that names no rotary form is byte for byte what 5.8.0 writes.
      if (version === '5.8.0' && !fields.includes('rope_parameters'))
        assert.equal(ours.to_json_string(), built.diff);
    });
  }
});

describe('configurations that transformers 5.23.0 wrote', () => {
  for (const [index, { name, fields, diff, full }] of recorded.configurations.entries())
    it(`case ${index}: ${name}`, () => {
      for (const text of [diff, full])
        assert.equal(classOf(name).from_dict(parse(text)).to_json_string(false), full);
      const ours = classOf(name).from_dict(parseFields(fields));
      assert.deepEqual(meaning(parse(ours.to_json_string(false))), meaning(parse(full)));
    });

  it('take the base frequency from rope_parameters', () => {
    const config = new Sam3ViTConfig({ rope_parameters: { rope_theta: 500, rope_type: 'axial' } });
    assert.equal(config.rope_theta, 500);
    config.rope_theta = 600;
    assert.deepEqual(config.to_dict().rope_parameters, { rope_theta: 600, rope_type: 'axial' });
    assert.equal('rope_theta' in config.to_dict(), false);
    const both = new Sam3ViTConfig({
      rope_theta: 10000,
      rope_parameters: { rope_theta: 500, rope_type: 'axial' },
    });
    assert.equal(both.rope_theta, 500);
    assert.equal(both.to_dict().rope_theta, 500);
  });
});

describe('Sam3TrackerConfig', () => {
  it('is made from one object, from nested instances, and positionally', () => {
    const vision = new Sam3TrackerVisionConfig({ fpn_hidden_size: 64 });
    const prompts = new Sam3TrackerPromptEncoderConfig({ hidden_size: 64 });
    const decoder = new Sam3TrackerMaskDecoderConfig({ hidden_size: 64 });
    const fields = { vision_config: vision, prompt_encoder_config: prompts, mask_decoder_config: decoder };
    const configs = [
      new Sam3TrackerConfig(fields),
      new Sam3TrackerConfig(vision, prompts, decoder),
      new Sam3TrackerConfig({ fpn_hidden_size: 64 }, { hidden_size: 64 }, { hidden_size: 64 }),
    ];
    for (const config of configs) {
      assert.deepEqual(config.to_dict(), configs[0].to_dict());
      assert.ok(config.vision_config instanceof Sam3VisionConfig);
      assert.ok(config.vision_config.backbone_config instanceof Sam3ViTConfig);
    }
    assert.equal(configs[0].vision_config, vision);
    assert.equal(new Sam3TrackerConfig(vision).vision_config.fpn_hidden_size, 64);
    assert.equal(new Sam3TrackerConfig(null, null, null, 0.5).initializer_range, 0.5);
  });

  it('shares nothing with the object it was made from', () => {
    const fields = { backbone_feature_sizes: [[4, 4]], note: { a: [1] } };
    const config = Sam3VisionConfig.from_dict(fields);
    fields.backbone_feature_sizes[0][0] = 99;
    fields.note.a.push(2);
    assert.deepEqual(config.backbone_feature_sizes, [[4, 4]]);
    assert.deepEqual(config.to_dict().note, { a: [1] });
    config.scale_factors.push(9);
    assert.deepEqual(new Sam3VisionConfig().scale_factors, [4, 2, 1, 0.5]);
  });

  it('reaches the backbone through vision_config.image_size', () => {
    const config = new Sam3TrackerConfig();
    config.vision_config.image_size = 504;
    assert.equal(config.vision_config.backbone_config.image_size, 504);
    assert.equal('image_size' in config.vision_config.to_dict(), false);
  });

  it('understands a sam3_video configuration, and takes the tracker out of it', () => {
    const video = {
      model_type: 'sam3_video',
      detector_config: { model_type: 'sam3', vision_config: { fpn_hidden_size: 1 } },
      tracker_config: {
        model_type: 'sam3_tracker_video',
        num_maskmem: 7,
        vision_config: {
          model_type: 'sam3_vision_model',
          fpn_hidden_size: 48,
          backbone_config: { hidden_size: 96 },
        },
        prompt_encoder_config: { model_type: 'sam3_tracker_video_prompt_encoder', hidden_size: 48 },
      },
    };
    const config = Sam3TrackerConfig.from_dict(video);
    assert.equal(config.model_type, 'sam3_tracker');
    assert.equal(config.vision_config.fpn_hidden_size, 48);
    assert.equal(config.prompt_encoder_config.model_type, '');
    assert.equal(config.to_dict().num_maskmem, 7);
    assert.equal(Sam3VisionConfig.from_dict(video).fpn_hidden_size, 48);
    assert.equal(Sam3ViTConfig.from_dict(video).hidden_size, 96);
    assert.equal(Sam3TrackerPromptEncoderConfig.from_dict(video).hidden_size, 48);
  });

  it('replaces fields through overrides', () => {
    const dict = new Sam3TrackerConfig({ dtype: 'float16' }).to_dict();
    const config = Sam3TrackerConfig.from_dict(dict, {
      initializer_range: 0.5,
      dtype: 'auto',
      mask_decoder_config: { mlp_dim: 64 },
      attn_implementation: 'eager',
    });
    assert.equal(config.initializer_range, 0.5);
    assert.equal(config.dtype, 'float16');
    assert.equal(config.mask_decoder_config.mlp_dim, 64);
    assert.equal(config.mask_decoder_config.num_attention_heads, 8);
    assert.equal(config.vision_config.backbone_config._attn_implementation, 'eager');
    assert.throws(
      () => Sam3TrackerConfig.from_dict(dict, { mask_decoder_confg: {} }),
      /Unknown option "mask_decoder_confg".*Did you mean "mask_decoder_config"/,
    );
  });

  it('saves and loads', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'sam3-tracker-config-'));
    try {
      const inner = path.join(directory, 'a', 'b');
      const config = Sam3TrackerConfig.from_dict({ my_field: [1, 2.5], initializer_range: 1 });
      await config.save_pretrained(inner);
      const text = await readFile(path.join(inner, 'config.json'), 'utf8');
      assert.match(text, /"initializer_range": 1\.0,/);
      assert.deepEqual((await Sam3TrackerConfig.from_pretrained(inner)).to_dict(), config.to_dict());
      const file = path.join(inner, 'config.json');
      assert.deepEqual((await Sam3VisionConfig.from_pretrained(file)).to_dict(), {
        ...config.vision_config.to_dict(),
        transformers_version: '5.8.0',
      });
      await assert.rejects(config.save_pretrained(file), { message: /should be a directory, not a file/ });
      await writeFile(file, '{"a": 1');
      const isInvalid = (error: unknown): boolean =>
        error instanceof Sam3TrackerError && error.code === 'FILE_INVALID' && error.message.includes(file);
      await assert.rejects(Sam3TrackerConfig.from_pretrained(inner), isInvalid);
      await writeFile(file, '[1]');
      await assert.rejects(Sam3TrackerConfig.from_pretrained(inner), isInvalid);
      await rm(file);
      await assert.rejects(Sam3TrackerConfig.from_pretrained(inner), { code: 'FILE_NOT_FOUND' });
      await assert.rejects(Sam3TrackerConfig.from_pretrained('../models'), { code: 'FILE_NOT_FOUND' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('is what JSON.stringify writes', () => {
    const config = new Sam3TrackerConfig();
    assert.deepEqual(JSON.parse(JSON.stringify(config)), JSON.parse(config.to_json_string()));
  });

  const refusals: [what: string, build: () => unknown, kind: typeof TypeError, message: RegExp][] = [
    [
      'a string for an integer',
      () => Sam3ViTConfig.from_dict({ hidden_size: 'a' }),
      TypeError,
      /an integer for Sam3ViTConfig\.hidden_size but received "a"/,
    ],
    ['a fraction', () => new Sam3ViTConfig({ hidden_size: 1.5 }), TypeError, /an integer .* 1\.5/],
    [
      'null',
      () => Sam3ViTConfig.from_dict({ hidden_size: null }),
      TypeError,
      /hidden_size but received null/,
    ],
    ['a boolean for a number', () => Sam3ViTConfig.from_dict({ rope_theta: true }), TypeError, /rope_theta/],
    ['a mixed list', () => Sam3ViTConfig.from_dict({ global_attn_indexes: [1, 'a'] }), TypeError, /\[1\]/],
    [
      'rope_parameters as a list',
      () => Sam3ViTConfig.from_dict({ rope_parameters: [] }),
      TypeError,
      /rope_pa/,
    ],
    ['a size as text', () => Sam3ViTConfig.from_dict({ image_size: '8' }), TypeError, /image_size/],
    ['an unknown dtype', () => new Sam3TrackerConfig({ dtype: 'foo' }), RangeError, /dtype .*"foo"/],
    [
      'a nested string',
      () => Sam3TrackerConfig.from_dict({ vision_config: 'a' }),
      TypeError,
      /vision_config/,
    ],
    [
      'another model',
      () => Sam3TrackerConfig.from_dict({ model_type: 'sam2' }),
      RangeError,
      /"sam3_tracker".*another model/,
    ],
    [
      'another backbone',
      () => Sam3VisionConfig.from_dict({ backbone_config: { model_type: 'foo' } }),
      RangeError,
      /Sam3ViTConfig\.model_type/,
    ],
    ['a list', () => Sam3TrackerConfig.from_dict([] as never), TypeError, /config_dict/],
    ['a number', () => new Sam3TrackerConfig(5 as never), TypeError, /object of fields/],
    ['a function as a field', () => Sam3TrackerConfig.from_dict({ extra: () => 1 }), TypeError, /JSON/],
    ["a method's name", () => Sam3TrackerConfig.from_dict({ to_dict: 1 }), RangeError, /"to_dict"/],
    [
      'attentions under sdpa',
      () => Sam3TrackerConfig.from_dict({ output_attentions: true, attn_implementation: 'sdpa' }),
      RangeError,
      /^RangeError: The `output_attentions` attribute is not supported when using the `attn_implementation` set to sdpa\. Please set it to 'eager' instead\.$/,
    ],
  ];
  for (const [what, build, kind, message] of refusals)
    it(`refuses ${what}`, () =>
      assert.throws(build, (error: unknown) => {
        assert.ok(error instanceof kind, String(error));
        assert.match(String(error), message);
        return true;
      }));

  it('checks assignments when it is validated', () => {
    const config = new Sam3TrackerConfig();
    (config.mask_decoder_config as unknown as ConfigDict).mlp_dim = '2048';
    assert.throws(() => config.validate(), /Sam3TrackerMaskDecoderConfig\.mlp_dim/);
    (config as unknown as ConfigDict).mask_decoder_config = {};
    assert.throws(() => config.validate(), /Sam3TrackerConfig\.mask_decoder_config/);
  });

  it('keeps a field named __proto__ a field', () => {
    const config = Sam3TrackerConfig.from_dict(JSON.parse('{"__proto__": {"polluted": 1}}') as ConfigDict);
    assert.equal((config as unknown as ConfigDict).polluted, undefined);
    assert.ok(config instanceof Sam3TrackerConfig);
    assert.match(config.to_json_string(), /"__proto__": \{\n {4}"polluted": 1/);
  });
});
