/** The hash that ties graphs to a configuration: the exporter's, from the same config.json. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Sam3TrackerConfig } from '../../../lib/config/sam3-tracker';
import { type ConfigDict } from '../../../lib/config/fields';
import { canonicalJson } from '../../../lib/core/json';
import { configHash, graphConfig } from '../../../lib/model/graph-config';
import { findGraphs } from '../../../lib/model/graphs';
import { ROOT, reference, type Reference } from '../../support/python';

const BACKBONE = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  image_size: [112, 112],
  patch_size: 14,
  hidden_act: 'relu',
  layer_norm_eps: 1e-5,
  window_size: 4,
  global_attn_indexes: [1],
  pretrain_image_size: [56, 56],
};
const SMALL = {
  vision_config: {
    backbone_config: BACKBONE,
    fpn_hidden_size: 32,
    backbone_feature_sizes: [
      [32, 32],
      [16, 16],
      [8, 8],
    ],
    scale_factors: [4, 2, 1],
  },
  prompt_encoder_config: { hidden_size: 32, image_size: 112, mask_input_channels: 8, layer_norm_eps: 1e-7 },
  mask_decoder_config: { hidden_size: 32, mlp_dim: 64, iou_head_hidden_dim: 32 },
};
const withRope = (rope: object): ConfigDict => ({
  ...SMALL,
  vision_config: { ...SMALL.vision_config, backbone_config: { ...BACKBONE, ...rope } },
});

describe('graph_config', () => {
  const config = Sam3TrackerConfig.from_dict(SMALL);

  it('leaves out what shapes no graph', () => {
    const other = Sam3TrackerConfig.from_dict(SMALL);
    other.dtype = 'float16';
    other.initializer_range = 0.5;
    other.mask_decoder_config.dynamic_multimask_via_stability = false;
    other.vision_config.backbone_config.attention_dropout = 0.5;
    assert.equal(configHash(other), configHash(config));
  });

  it('holds every field that does', () => {
    const fields: [keyof typeof Sam3TrackerConfig.sub_configs, string, unknown][] = [
      ['mask_decoder_config', 'mlp_dim', 65],
      ['prompt_encoder_config', 'layer_norm_eps', 1],
      ['vision_config', 'scale_factors', [2, 1, 0.5]],
      ['vision_config', 'image_size', 224],
    ];
    for (const [section, name, value] of fields) {
      const other = Sam3TrackerConfig.from_dict(SMALL);
      Object.assign(other[section], { [name]: value });
      assert.notEqual(configHash(other), configHash(config), name);
    }
  });

  it('refuses a size that is not square, which no graph has', () => {
    const other = Sam3TrackerConfig.from_dict(SMALL);
    other.vision_config.image_size = [112, 224];
    assert.throws(() => graphConfig(other), /a square size for Sam3ViTConfig\.image_size/);
  });
});

describe("config_hash of transformers 5.23.0's form", () => {
  it("is that of the package's graphs for the defaults, alone and in a sam3_video configuration", () => {
    const file = path.join(__dirname, '..', '..', 'fixtures', 'configurations-5.23.0.json');
    const { configurations } = JSON.parse(readFileSync(file, 'utf8')) as {
      configurations: { name: string; fields: string; diff: string; full: string }[];
    };
    const { diff, full } = configurations.find(
      ({ name, fields }) => name === 'Sam3TrackerConfig' && fields === '{}',
    )!;
    for (const text of [diff, full]) {
      assert.match(text, /"rope_parameters"/);
      const tracker = JSON.parse(text) as ConfigDict;
      const video = {
        model_type: 'sam3_video',
        tracker_config: { ...tracker, model_type: 'sam3_tracker_video' },
      };
      for (const config of [tracker, video])
        assert.match(
          findGraphs(Sam3TrackerConfig.from_dict(config)).vision_encoder,
          /models.sam3.torchscript/,
        );
    }
  });
});

describe('config_hash compared with the exporter', () => {
  let python: Reference;
  before(function () {
    python = reference('test/support/graph_config_reference.py', this);
  });

  const cases: [what: string, config: ConfigDict][] = [
    ['defaults', {}],
    ['a small configuration', SMALL],
    ['rope_theta', withRope({ rope_theta: 500.5 })],
    ['rope_parameters', withRope({ rope_parameters: { rope_theta: 500.5, rope_type: 'axial' } })],
    [
      'both, which differ',
      withRope({ rope_theta: 1e4, rope_parameters: { rope_theta: 77, rope_type: 'axial' } }),
    ],
    [
      'a sam3_video configuration',
      { model_type: 'sam3_video', tracker_config: { ...SMALL, model_type: 'sam3_tracker_video' } },
    ],
  ];
  for (const [what, config] of cases)
    it(`${what}: as given, and as saved`, async () => {
      const ours = Sam3TrackerConfig.from_dict(config);
      for (const text of [JSON.stringify(config), ours.to_json_string(), ours.to_json_string(false)]) {
        const theirs = (await python.result('graph_config', { text })) as { json: string; hash: string };
        assert.equal(canonicalJson(graphConfig(ours)), theirs.json);
        assert.equal(configHash(ours), theirs.hash);
      }
    });

  it("is that of the package's graphs for a default Sam3VideoConfig, whatever else it holds", async () => {
    const manifest = path.join(ROOT, 'models', 'sam3', 'torchscript', 'manifest.json');
    const shipped = (JSON.parse(readFileSync(manifest, 'utf8')) as { config_hash: string }).config_hash;
    const texts = (await python.result('video_configurations')) as Record<string, string>;
    assert.deepEqual(Object.keys(texts), ['whole', 'saved']);
    for (const text of Object.values(texts)) {
      const video = JSON.parse(text) as ConfigDict;
      assert.equal(video.model_type, 'sam3_video');
      assert.ok('detector_config' in video && Object.keys(video).length > 20);
      // Every object of it but id2label and label2id with a field that no version has yet.
      const more = JSON.parse(text, (name, value: unknown) =>
        typeof value === 'object' && value !== null && !Array.isArray(value) && !name.includes('2')
          ? { ...value, of_a_later_version: [1, { x: null }] }
          : value,
      ) as ConfigDict;
      for (const config of [video, more])
        assert.equal(configHash(Sam3TrackerConfig.from_dict(config)), shipped);
      const other = structuredClone(video) as { tracker_config: { vision_config: object } };
      Object.assign(other.tracker_config.vision_config, { fpn_hidden_size: 128 });
      assert.notEqual(configHash(Sam3TrackerConfig.from_dict(other)), shipped);
    }
  });

  it('writes numbers alike', async () => {
    const numbers = [
      0,
      1,
      -1,
      0.5,
      1e-6,
      1e-7,
      1.5e-9,
      123456789.125,
      1e20,
      1e21,
      1.5e22,
      5e-324,
      1 / 3,
      -1e-6,
    ];
    assert.equal(canonicalJson(numbers), await python.result('canonical', { numbers }));
  });
});
