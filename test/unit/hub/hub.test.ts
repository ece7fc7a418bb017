/** Models from the Hugging Face hub: what is asked for, where it goes, with whose token, and what is refused. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import * as auto from '../../../lib/auto';
import { Sam3TrackerConfig } from '../../../lib/config/sam3-tracker';
import { Sam3ImageProcessor } from '../../../lib/image/image-processing-sam3';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import { MaskGenerationPipeline } from '../../../lib/pipelines/mask-generation';
import { pipeline } from '../../../lib/pipelines/pipeline';
import { readHubSettings, type DownloadProgress, type HubOptions } from '../../../lib/hub/settings';
import { BUNDLED_MODEL, assertSameBits, boxes, pixels } from '../../support/bundled-model';
import { HubFixture, checkpointFiles } from '../../support/hub';
import { gitHash, sha256 } from '../../support/hub-server';

const ID = 'tests/tiny';
const TOKEN = 'hf_mayReadIt';
const WEIGHTS = 'model.safetensors';

/** The URL paths of requests for files. */
const filesAsked = (hub: HubFixture): string[] =>
  hub.server.seen
    .filter(({ path: url }) => url.includes('/resolve/'))
    .map(({ path: url }) => path.basename(url));

describe('a model on the hub', () => {
  const hub = new HubFixture();

  it('is downloaded into the standard cache, and computes as the same model from a directory', async () => {
    using model = await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' });
    using bundled = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
    const inputs = { pixel_values: pixels(), input_boxes: boxes() };
    assertSameBits(await model(inputs), await bundled(inputs));

    const commit = hub.server.commit(ID);
    assert.equal(readFileSync(path.join(hub.folder(), 'refs', 'main'), 'utf8'), commit);
    assert.deepEqual(hub.names(`snapshots/${commit}`), ['config.json', WEIGHTS]);
    const content = hub.server.repositories.get(ID)!.files;
    const etags = [gitHash(content.get('config.json')!), sha256(content.get(WEIGHTS)!)];
    assert.deepEqual(hub.names('blobs'), etags.sort());
    const link = path.join(hub.folder(), 'snapshots', commit, WEIGHTS);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.equal(readlinkSync(link), path.join('..', '..', 'blobs', sha256(content.get(WEIGHTS)!)));
  });

  it('gives configuration and processors, each with only the files that it needs', async () => {
    const config = await Sam3TrackerConfig.from_pretrained(ID);
    assert.equal(config.vision_config.image_size, 192);
    assert.deepEqual(filesAsked(hub), ['config.json']);
    const processor = await Sam3TrackerProcessor.from_pretrained(ID, { point_pad_value: -5 });
    assert.equal(processor.target_size, 192);
    assert.equal(processor.point_pad_value, -5);
    const images = await Sam3ImageProcessor.from_pretrained(ID, { do_rescale: false });
    assert.deepEqual(images.size, { height: 192, width: 192 });
    assert.equal(images.do_rescale, false);
    assert.deepEqual(filesAsked(hub), ['config.json', 'processor_config.json']);
    assert.equal(hub.server.storeRequests.length, 0);
  });

  it('is read from the cache without a network, once it is there', async () => {
    await Sam3TrackerConfig.from_pretrained(ID);
    hub.server.reset();
    await Sam3TrackerConfig.from_pretrained(ID, { local_files_only: true });
    process.env.HF_HUB_OFFLINE = '1';
    await Sam3TrackerConfig.from_pretrained(ID);
    delete process.env.HF_HUB_OFFLINE;
    await Sam3TrackerConfig.from_pretrained(ID, { revision: hub.server.commit(ID) });
    assert.deepEqual(hub.server.seen, []);
    // A hub that does not answer is no reason to fail either.
    process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
    await Sam3TrackerConfig.from_pretrained(ID);
    await assert.rejects(Sam3TrackerModel.from_pretrained(ID), {
      code: 'FILE_NOT_FOUND',
      message: /no weights.*in the cache.*nothing is downloaded since 127\.0\.0\.1:9 cannot be reached/s,
    });
  });

  it('is followed when its branch moves, and the old commit stays', async () => {
    await Sam3TrackerConfig.from_pretrained(ID);
    const first = hub.server.commit(ID);
    hub.server.repositories.get(ID)!.files.set('README.md', Buffer.from('changed'));
    await Sam3TrackerConfig.from_pretrained(ID);
    const second = hub.server.commit(ID);
    assert.notEqual(first, second);
    assert.deepEqual(hub.names('snapshots'), [first, second].sort());
    assert.equal(readFileSync(path.join(hub.folder(), 'refs', 'main'), 'utf8'), second);
    // The content is the same, so it was linked and not downloaded again.
    assert.deepEqual(filesAsked(hub), ['config.json']);
  });

  it('is taken at a tag and at a commit', async () => {
    await Sam3TrackerConfig.from_pretrained(ID, { revision: 'v1' });
    assert.deepEqual(hub.names('refs'), ['v1']);
    await Sam3TrackerConfig.from_pretrained(ID, { revision: hub.server.commit(ID) });
    assert.deepEqual(hub.names('refs'), ['v1']);
  });

  it('is put where cache_dir, HF_HUB_CACHE and HF_HOME say', async () => {
    const cached = (folder: string): boolean =>
      lstatSync(path.join(folder, 'models--tests--tiny', 'snapshots')).isDirectory();
    const [one, two] = [path.join(hub.home, 'one'), path.join(hub.home, 'two')];
    await Sam3TrackerConfig.from_pretrained(ID, { cache_dir: one });
    assert.ok(cached(one));
    process.env.HUB_TEST_HOME = hub.home;
    process.env.HF_HUB_CACHE = '$HUB_TEST_HOME/two';
    await Sam3TrackerConfig.from_pretrained(ID);
    delete process.env.HUB_TEST_HOME;
    assert.ok(cached(two));
    assert.throws(() => cached(path.join(hub.home, 'hub')), { code: 'ENOENT' });
  });

  it('is waited for as long as a timer can', async () => {
    for (const seconds of ['Infinity', '1e12', '2147484']) {
      process.env.HF_HUB_ETAG_TIMEOUT = process.env.HF_HUB_DOWNLOAD_TIMEOUT = seconds;
      const { answerTimeout, stallTimeout } = await readHubSettings({});
      assert.deepEqual([answerTimeout, stallTimeout], [2_147_483_000, 2_147_483_000]);
      await Sam3TrackerConfig.from_pretrained(ID, { force_download: true });
    }
  });

  it('is put where Python would put it: in the home for ~, in that of a user for ~name', async () => {
    const { username, homedir } = userInfo();
    const file = path.join('models--tests--tiny', 'refs', 'main');
    const cacheOf = async (options: HubOptions): Promise<string> => (await readHubSettings(options)).cacheDir;
    process.env.HOME = path.join(hub.home, 'home');
    await Sam3TrackerConfig.from_pretrained(ID, { cache_dir: '~/models' });
    assert.ok(existsSync(path.join(process.env.HOME, 'models', file)));
    process.env.HF_HOME = '~/x';
    await Sam3TrackerConfig.from_pretrained(ID);
    assert.ok(existsSync(path.join(process.env.HOME, 'x', 'hub', file)));
    assert.equal(await cacheOf({ cache_dir: `~${username}/m` }), path.join(homedir, 'm'));
    assert.equal(await cacheOf({ cache_dir: '~' }), process.env.HOME);
    for (const cache_dir of ['~nobody of that name/m', 'a/~/m', '$HOME/m'])
      assert.equal(await cacheOf({ cache_dir }), path.resolve(cache_dir));
    const variables: [name: string, value: string, cache: string][] = [
      ['XDG_CACHE_HOME', '~/$HUGGING_TEST', 'c/huggingface/hub'],
      ['HF_HOME', '~/${HUGGING_TEST}/h', 'c/h/hub'],
      ['HUGGINGFACE_HUB_CACHE', '${HOME}/old', 'old'],
      ['HF_HUB_CACHE', '~/$HUGGING_TEST', 'c'],
    ];
    delete process.env.HF_HOME;
    process.env.HUGGING_TEST = 'c';
    for (const [name, value, cache] of variables) {
      process.env[name] = value;
      assert.equal(await cacheOf({}), path.join(process.env.HOME, cache), name);
    }
    process.env.HF_TOKEN_PATH = '~/$HUGGING_TEST/token';
    mkdirSync(path.join(process.env.HOME, 'c'), { recursive: true });
    writeFileSync(path.join(process.env.HOME, 'c', 'token'), 'hf_saved');
    assert.equal((await readHubSettings({})).token, 'hf_saved');
  });

  it('is read from caches that others and other versions made: copies for links, notes on what is missing, a ref of no use', async () => {
    const commit = hub.server.commit(ID);
    const content = hub.server.repositories.get(ID)!.files;
    const snapshot = path.join(hub.folder(), 'snapshots', commit);
    mkdirSync(path.join(hub.folder(), '.no_exist', commit), { recursive: true });
    writeFileSync(path.join(hub.folder(), '.no_exist', commit, WEIGHTS), '');
    writeFileSync(path.join(hub.home, 'hub', 'version.txt'), '1');
    mkdirSync(snapshot, { recursive: true });
    // As huggingface_hub does where the file system has no links.
    writeFileSync(path.join(snapshot, 'config.json'), content.get('config.json')!);
    mkdirSync(path.join(hub.folder(), 'refs'));
    writeFileSync(path.join(hub.folder(), 'refs', 'main'), `${commit}\n`);
    await Sam3TrackerConfig.from_pretrained(ID, { local_files_only: true });
    assert.deepEqual(hub.server.seen, []);
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' })).dispose();
    assert.deepEqual(filesAsked(hub), [WEIGHTS]);
    writeFileSync(path.join(hub.folder(), 'refs', 'main'), 'of another form');
    await assert.rejects(Sam3TrackerConfig.from_pretrained(ID, { local_files_only: true }), {
      code: 'FILE_NOT_FOUND',
      message: /Revision main of tests\/tiny is not in the cache/,
    });
    await Sam3TrackerConfig.from_pretrained(ID);
    await Sam3TrackerConfig.from_pretrained(ID, { local_files_only: true });
  });

  it('is downloaded again where that is asked for', async () => {
    await Sam3TrackerConfig.from_pretrained(ID);
    await Sam3TrackerConfig.from_pretrained(ID);
    assert.equal(filesAsked(hub).length, 1);
    await Sam3TrackerConfig.from_pretrained(ID, { force_download: true });
    assert.equal(filesAsked(hub).length, 2);
  });

  it('comes in shards', async () => {
    const files = checkpointFiles();
    const weights = files.get(WEIGHTS)!;
    files.delete(WEIGHTS);
    const name = 'model-00001-of-00001.safetensors';
    files.set(name, weights);
    files.set(`${WEIGHTS}.index.json`, Buffer.from(JSON.stringify({ weight_map: { x: name } })));
    hub.add('tests/shards', { files });
    (await Sam3TrackerModel.from_pretrained('tests/shards', { device: 'cpu' })).dispose();
    files.delete(name);
    await assert.rejects(Sam3TrackerModel.from_pretrained('tests/shards'), {
      code: 'FILE_NOT_FOUND',
      message: /tests\/shards has no shard model-00001-of-00001\.safetensors/,
    });
    const index = JSON.stringify({ weight_map: { x: '../../refs/main' } });
    files.set(`${WEIGHTS}.index.json`, Buffer.from(index));
    await assert.rejects(Sam3TrackerModel.from_pretrained('tests/shards'), { code: 'FILE_INVALID' });
  });

  it('reports how far each file is', async () => {
    const seen: DownloadProgress[] = [];
    const progress_callback = (progress: DownloadProgress): void => void seen.push(progress);
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu', progress_callback })).dispose();
    const total = hub.server.repositories.get(ID)!.files.get(WEIGHTS)!.length;
    const ofWeights = seen.filter(({ file }) => file === WEIGHTS);
    assert.deepEqual(ofWeights[0], {
      status: 'initiate',
      name: ID,
      file: WEIGHTS,
      loaded: 0,
      total,
      progress: 0,
    });
    assert.deepEqual(ofWeights.at(-1), {
      ...ofWeights[0],
      status: 'done',
      loaded: total,
      progress: 100,
    });
    const loaded = ofWeights.map((progress) => progress.loaded);
    assert.deepEqual(
      loaded,
      [...loaded].sort((a, b) => a - b),
    );
    const stop = new Error('enough');
    const failing = Sam3TrackerModel.from_pretrained(ID, {
      force_download: true,
      progress_callback: () => {
        throw stop;
      },
    });
    await assert.rejects(failing, stop);
  });
});

describe('one call for a model on the hub', () => {
  const hub = new HubFixture();
  const { AutoConfig, AutoImageProcessor, AutoModel, AutoModelForMaskGeneration, AutoProcessor } = auto;
  const classes = [
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForMaskGeneration,
    AutoProcessor,
    Sam3ImageProcessor,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    Sam3TrackerProcessor,
  ];
  type Call = (options: HubOptions) => Promise<unknown>;
  const calls: [name: string, call: Call][] = [
    ...classes.map((one): [string, Call] => [
      one.name,
      (options) =>
        (one.from_pretrained as (id: string, options: HubOptions) => Promise<unknown>).call(one, ID, options),
    ]),
    ['pipeline', (options) => pipeline('mask-generation', ID, { device: 'cpu', ...options })],
  ];
  for (const [name, call] of calls)
    it(`of ${name} asks once what the branch is, and takes all parts from there, though it moves`, async () => {
      const { files } = hub.server.repositories.get(ID)!;
      files.set('mask_generation_config.json', Buffer.from('{"pred_iou_thresh": 0.25}'));
      const commit = hub.server.commit(ID);
      const progress_callback = (): void => {
        for (const file of ['processor_config.json', 'mask_generation_config.json', WEIGHTS])
          files.set(file, Buffer.from('changed meanwhile'));
      };
      const made = await call({ progress_callback });
      assert.notEqual(hub.server.commit(ID), commit);
      const asked = hub.server.seen.filter(({ path: url }) => url.includes('/revision/'));
      assert.equal(asked.length, 1);
      assert.deepEqual(hub.names('snapshots'), [commit]);
      assert.equal(readFileSync(path.join(hub.folder(), 'refs', 'main'), 'utf8'), commit);
      if (made instanceof MaskGenerationPipeline) assert.equal(made.defaults.pred_iou_thresh, 0.25);
      if (made instanceof Sam3TrackerModel || made instanceof MaskGenerationPipeline) made.dispose();
    });
});

describe('the token of the hub', () => {
  const hub = new HubFixture();
  const authorizations = (): (string | undefined)[] => [
    ...new Set(hub.server.seen.map(({ authorization }) => authorization)),
  ];

  it('goes to the hub and never to the store that it points to', async () => {
    hub.server.repositories.get(ID)!.gatedBy = TOKEN;
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu', token: TOKEN })).dispose();
    const toHub = hub.server.seen.filter(({ to }) => to === 'hub');
    assert.ok(toHub.every(({ authorization }) => authorization === `Bearer ${TOKEN}`));
    assert.equal(hub.server.storeRequests.length, 1);
    assert.equal(hub.server.storeRequests[0].authorization, undefined);
  });

  it('is the option, else HF_TOKEN, else the saved one, else none', async () => {
    const ask = async (token?: string | boolean | null): Promise<(string | undefined)[]> => {
      hub.server.seen = [];
      await Sam3TrackerConfig.from_pretrained(ID, { token });
      return authorizations();
    };
    assert.deepEqual(await ask(), [undefined]);
    await assert.rejects(ask(true), { name: 'RangeError', message: /no token is saved/ });
    writeFileSync(path.join(hub.home, 'token'), 'hf_saved\n');
    assert.deepEqual(await ask(), ['Bearer hf_saved']);
    process.env.HF_TOKEN = ' hf_environment ';
    assert.deepEqual(await ask(true), ['Bearer hf_environment']);
    assert.deepEqual(await ask('hf_option'), ['Bearer hf_option']);
    assert.deepEqual(await ask(false), [undefined]);
    assert.deepEqual(await ask(null), [undefined]);
    process.env.HF_HUB_DISABLE_IMPLICIT_TOKEN = '1';
    assert.deepEqual(await ask(), [undefined]);
  });
});
