/** docs/migrating.md's list of what transformers.js has, against its own names (test/support/list_transformers_js.mjs). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import transformersJs from '../fixtures/transformers-js-4.3.2.json';
import * as api from '../../lib/index';
import { ABSENT_OPTIONS, HUB_OPTIONS } from '../../lib/hub/settings';
import { ROOT } from '../support/python';

const page = readFileSync(path.join(ROOT, 'docs', 'migrating.md'), 'utf8');

/** The rows of the table with this head: names in the first column, and what the second says. */
function rowsOf(head: string): { names: string[]; here: string }[] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => line.split('|')[1]?.trim() === head);
  assert.ok(start > 0, `no table ${head}`);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) => {
    const [, first, here] = line.split('|').map((cell) => cell.trim());
    const names = [...first.matchAll(/`([^`]+)`/g)].map(([, name]) => name.replace(/:.*/, ''));
    return { names, here };
  });
}

/** Whether a name is there: on an instance or its prototype, or as a static member. */
const has = (name: string, ...owners: object[]): boolean =>
  owners.some((owner) => (name === '[Symbol.iterator]' ? Symbol.iterator : name) in owner);

describe('the list of what transformers.js has', () => {
  const image = new api.RawImage(new Uint8Array(3), 1, 1, 3);
  const tensor = new api.Tensor('float32', [1], [1]);
  const { Tensor, RawImage, env, functions } = transformersJs;
  const tables: [head: string, theirs: string[], ours: object[]][] = [
    ['Tensor', [...Tensor.members, ...Tensor.statics], [tensor, api.Tensor]],
    ['RawImage', [...RawImage.members, ...RawImage.statics], [image, api.RawImage]],
    ['env', env, [api.env]],
    ['Function', functions, [api]],
  ];

  for (const [head, theirs, ours] of tables)
    it(`names everything of ${head} once, and says rightly whether it is here`, () => {
      const rows = rowsOf(head);
      const listed = rows.flatMap(({ names }) => names).filter((name) => name !== 'tensor[i]');
      assert.deepEqual([...listed].sort(), [...theirs].sort());
      for (const { names, here } of rows)
        for (const name of names)
          if (name !== 'tensor[i]') assert.equal(has(name, ...ours), !here.startsWith('no:'), name);
    });

  it('names what else a Tensor has', () => {
    const besides = /^Besides: (.*)\.$/m.exec(page)?.[1] ?? '';
    for (const [, name] of besides.matchAll(/`([^`]+)`/g)) assert.ok(has(name, tensor), name);
  });

  it('has the options that are ignored', () => {
    const listed = rowsOf('Option').flatMap(({ names }) => names);
    const all = HUB_OPTIONS.slice(HUB_OPTIONS.indexOf('low_cpu_mem_usage'));
    const absent = Object.keys(ABSENT_OPTIONS);
    assert.deepEqual([...listed, ...absent].sort(), [...all].sort());
    for (const name of absent) assert.ok(page.includes(`\`${name}\``), name);
  });

  it('has transformers.js names of classes', () => {
    assert.equal(api.SamModel, api.Sam3TrackerModel);
    assert.equal(api.SamProcessor, api.Sam3TrackerProcessor);
  });
});

describe('options of from_pretrained that mean nothing here', () => {
  const ignored = {
    low_cpu_mem_usage: true,
    use_safetensors: true,
    trust_remote_code: false,
    use_fast: true,
    session_options: {},
    subfolder: '',
    variant: null,
    quantized: false,
    proxies: undefined,
  } as const;

  it('are taken by every class', async () => {
    const id = 'sam3-tracker-tiny';
    const model = await api.AutoModel.from_pretrained(id, { ...ignored, dtype: 'fp32', device: 'cpu' });
    assert.equal(model.dtype, 'float32');
    model.dispose();
    const processor = await api.AutoProcessor.from_pretrained(id, ignored);
    assert.equal(JSON.stringify(processor).includes('use_fast'), false);
    await api.AutoImageProcessor.from_pretrained(id, ignored);
    const config = await api.Sam3TrackerConfig.from_pretrained(id, ignored);
    assert.equal('low_cpu_mem_usage' in config, false);
  });

  it('but for those that would change the result', async () => {
    for (const options of [
      { use_safetensors: false },
      { load_in_8bit: true },
      { subfolder: 'x' },
      { ignore_mismatched_sizes: true },
      { quantized: true },
      { state_dict: {} },
      { max_memory: 1 },
    ])
      await assert.rejects(
        api.Sam3TrackerModel.from_pretrained('sam3-tracker-tiny', options as never),
        new RegExp(Object.keys(options)[0]),
      );
  });
});

describe('pipeline in the forms of transformers and transformers.js', () => {
  it('takes a model, how it is loaded, and arguments of every call', async () => {
    const id = 'sam3-tracker-tiny';
    const forms = [
      await api.pipeline('mask-generation', { model: id, device: 'cpu', points_per_batch: 8, dtype: 'fp32' }),
      await api.pipeline('mask-generation', id, { device: 'cpu', points_per_batch: 8 }),
      await api.pipeline('mask-generation', {
        model: id,
        image_processor: id,
        points_per_batch: 8,
        device: 'cpu',
      }),
    ];
    for (const generator of forms) {
      assert.equal(generator.model.device, 'cpu');
      assert.equal(generator.defaults.points_per_batch, 8);
    }
    const [{ model, image_processor }] = forms;
    const loaded = await api.pipeline('mask-generation', model, { image_processor });
    assert.equal(loaded.model, model);
    await assert.rejects(
      api.pipeline('mask-generation', { model, image_processor, device: 'cpu' }),
      TypeError,
    );
    await assert.rejects(
      api.pipeline('mask-generation', { model: id, points_per_bach: 8 } as never),
      /points_per_batch/,
    );
    await assert.rejects(api.pipeline('mask-generation', { model: id, points_per_batch: -1 }), RangeError);
    for (const generator of forms) generator.dispose();
    assert.equal(model.disposed, true);
  });
});

describe('env', () => {
  const names = ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', 'HF_ENDPOINT', 'HF_HUB_CACHE'];
  const before = names.map((name) => process.env[name]);
  afterEach(() =>
    names.forEach((name, index) => {
      if (before[index] === undefined) delete process.env[name];
      else process.env[name] = before[index];
    }),
  );

  it("sets huggingface_hub's variables and reads them", () => {
    const { env } = api;
    env.allowRemoteModels = false;
    assert.deepEqual([process.env.HF_HUB_OFFLINE, env.allowRemoteModels], ['1', false]);
    process.env.TRANSFORMERS_OFFLINE = '1';
    env.allowRemoteModels = true;
    assert.equal(env.allowRemoteModels, true);
    env.remoteHost = 'https://hub.example/';
    assert.deepEqual(
      [process.env.HF_ENDPOINT, env.remoteHost],
      ['https://hub.example/', 'https://hub.example'],
    );
    env.cacheDir = '/models';
    assert.deepEqual([process.env.HF_HUB_CACHE, env.cacheDir], ['/models', '/models']);
    assert.match(env.version, /^\d+\.\d+\.\d+/);
  });

  it('refuses other kinds, and settings that there are not', () => {
    const env = api.env as unknown as Record<string, unknown>;
    for (const [name, value, error] of [
      ['allowRemoteModels', 1, TypeError],
      ['remoteHost', 'hub', RangeError],
      ['cacheDir', '', RangeError],
      ['localModelPath', '/models', TypeError],
      ['version', '2', TypeError],
    ] as const)
      assert.throws(() => (env[name] = value), error, name);
  });
});
