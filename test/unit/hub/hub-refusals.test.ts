/** Models of the hub that are not to be had, or not to be loaded: one clear error each. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Sam3TrackerConfig } from '../../../lib/config/sam3-tracker';
import type { HubOptions } from '../../../lib/hub/settings';
import { Sam3ImageProcessor } from '../../../lib/image/image-processing-sam3';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { HubFixture, checkpointFiles } from '../../support/hub';

const ID = 'tests/tiny';
const TOKEN = 'hf_mayReadIt';
const WEIGHTS = 'model.safetensors';

describe('the hub refuses', () => {
  const hub = new HubFixture();
  const refusals: [what: string, id: string, options: object, code: string, message: RegExp][] = [
    [
      'a gated model without a token, saying how to get one',
      'tests/gated',
      {},
      'ACCESS_DENIED',
      /tests\/gated is gated: ask for access at http.*tests\/gated.*hf auth login.*HF_TOKEN.*\{ token \}/,
    ],
    [
      'a gated model with the token of an account without access',
      'tests/gated',
      { token: 'hf_another' },
      'ACCESS_DENIED',
      /tests\/gated is gated.*with the account that the token belongs to/,
    ],
    ['a wrong token', ID, { token: 'wrong' }, 'ACCESS_DENIED', /refused the token.*Invalid credentials/],
    [
      'a repository that does not exist',
      'tests/none',
      {},
      'REPOSITORY_NOT_FOUND',
      /no model .*tests\/none.*private/,
    ],
    ['a revision that does not exist', ID, { revision: 'v9' }, 'REVISION_NOT_FOUND', /no revision v9/],
    ['a repository without configuration', 'tests/empty', {}, 'FILE_NOT_FOUND', /no config\.json/],
    ['a repository without weights', 'tests/bare', {}, 'FILE_NOT_FOUND', /no weights/],
  ];
  for (const [what, id, options, code, message] of refusals) {
    it(what, async () => {
      hub.add('tests/gated', { files: checkpointFiles(), gatedBy: TOKEN });
      hub.add('tests/empty', { files: new Map([['README.md', Buffer.from('x')]]) });
      const files = checkpointFiles();
      files.delete(WEIGHTS);
      hub.add('tests/bare', { files });
      await assert.rejects(Sam3TrackerModel.from_pretrained(id, options), {
        name: 'Sam3TrackerError',
        code,
        message,
      });
    });
  }

  it('nothing that ends in half a model: a status that is no answer is one error', async () => {
    hub.server.faults.statuses = [418];
    await assert.rejects(Sam3TrackerConfig.from_pretrained(ID), {
      code: 'DOWNLOAD_FAILED',
      message: /status 418/,
    });
  });
});

describe('of a model on the hub it is refused', () => {
  const hub = new HubFixture();
  const withConfig = (edit: (config: Record<string, unknown>) => void): void => {
    const { files } = hub.server.repositories.get(ID)!;
    const config = JSON.parse(files.get('config.json')!.toString()) as Record<string, unknown>;
    edit(config);
    files.set('config.json', Buffer.from(JSON.stringify(config)));
  };

  it('that it is of another model type, before its weights are fetched', async () => {
    withConfig((config) => (config.model_type = 'sam2'));
    await assert.rejects(Sam3TrackerModel.from_pretrained(ID), {
      name: 'RangeError',
      message: /configuration of another model/,
    });
    assert.equal(hub.server.storeRequests.length, 0);
  });

  it('that the package has no graphs for it, before its weights are fetched', async () => {
    withConfig((config) => ((config.mask_decoder_config as { mlp_dim: number }).mlp_dim = 32));
    await assert.rejects(Sam3TrackerModel.from_pretrained(ID), { code: 'GRAPHS_NOT_FOUND' });
    assert.equal(hub.server.storeRequests.length, 0);
  });

  it('that it brings code: a torchscript folder of the cache is not looked at', async () => {
    await Sam3TrackerConfig.from_pretrained(ID);
    const folder = path.join(hub.folder(), 'snapshots', hub.server.commit(ID), 'torchscript');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'vision_encoder.pt'), 'code of a stranger');
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' })).dispose();
  });

  it('that a link of the cache leads out of it', async () => {
    await Sam3TrackerConfig.from_pretrained(ID);
    const link = path.join(hub.folder(), 'snapshots', hub.server.commit(ID), 'config.json');
    rmSync(link);
    symlinkSync(path.join(BUNDLED_MODEL, 'config.json'), link);
    for (const local_files_only of [true, false])
      await assert.rejects(Sam3TrackerConfig.from_pretrained(ID, { local_files_only }), {
        code: 'FILE_INVALID',
        message: /config\.json in the hub's cache leads out of it/,
      });
  });

  it('that the cache holds nothing, where no network is to be used', async () => {
    const nothing = { code: 'FILE_NOT_FOUND', message: /not in the cache.*local_files_only is set/ };
    await assert.rejects(Sam3TrackerModel.from_pretrained(ID, { local_files_only: true }), nothing);
    process.env.HF_HUB_OFFLINE = 'ON';
    const offline = { code: 'FILE_NOT_FOUND', message: /not in the cache.*HF_HUB_OFFLINE is set/ };
    await assert.rejects(Sam3TrackerModel.from_pretrained(ID), offline);
    assert.deepEqual(hub.server.seen, []);
  });

  it('that there is no network', async () => {
    process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
    await assert.rejects(Sam3TrackerModel.from_pretrained(ID), {
      code: 'DOWNLOAD_FAILED',
      message: /tests\/tiny is not in the cache.*127\.0\.0\.1:9 cannot be reached.*no such directory/s,
    });
  });

  const options: [what: string, options: object, message: RegExp, error?: typeof TypeError][] = [
    ['a revision that leads elsewhere', { revision: '../../etc' }, /a branch, a tag or a commit/, RangeError],
    ['an empty revision', { revision: '' }, /revision/, RangeError],
    ['a token that is no text', { token: 5 }, /a string or a boolean for token/, TypeError],
    ['a token with a line break', { token: 'hf_a\nx: y' }, /characters that no token has/, RangeError],
    ['a callback that is none', { progress_callback: 1 }, /a function for progress_callback/, TypeError],
    ['a mistyped name', { cachedir: 'x' }, /Unknown option "cachedir"/, TypeError],
    ['a flag that is none', { local_files_only: 'yes' }, /local_files_only/, TypeError],
  ];
  for (const [what, given, message, error] of options) {
    it(`with ${what}`, async () => {
      for (const from_pretrained of [
        (): Promise<unknown> => Sam3TrackerModel.from_pretrained(ID, given),
        (): Promise<unknown> => Sam3TrackerProcessor.from_pretrained(ID, given),
        (): Promise<unknown> => Sam3ImageProcessor.from_pretrained(ID, given),
        (): Promise<unknown> => Sam3TrackerConfig.from_pretrained(ID, { ...given }),
      ])
        await assert.rejects(from_pretrained, (found: Error) => {
          assert.ok(found instanceof error!, String(found));
          assert.match(found.message, message);
          return true;
        });
    });
  }

  it('with an endpoint that is no URL', async () => {
    process.env.HF_ENDPOINT = 'hub';
    await assert.rejects(Sam3TrackerConfig.from_pretrained(ID), {
      name: 'RangeError',
      message: /HF_ENDPOINT/,
    });
  });

  it('under a name that is neither a directory nor an id, and says which rule of an id it breaks', async () => {
    const names: Record<string, RegExp> = {
      nowhere: /the form owner\/name/,
      './tests/tiny': /the form owner\/name/,
      'a/b/c': /the form owner\/name/,
      '/no/such/folder': /there is no such directory \(\/no\/such\/folder\)/,
      'tests/..': /alphanumeric/,
      'tests/-a': /alphanumeric/,
      'te sts/a': /alphanumeric/,
      [`tests/${'a'.repeat(91)}`]: /at most 96/,
      'tests/a--b': /no '--' or '\.\.'/,
      'tests/a..b': /no '--' or '\.\.'/,
      'tests/a.git': /does not end with '\.git'/,
      '~/models/tiny': /~ is not the home here: give ".*\/models\/tiny"/,
    };
    for (const [name, message] of Object.entries(names))
      await assert.rejects(Sam3TrackerConfig.from_pretrained(name), { code: 'FILE_NOT_FOUND', message });
    assert.deepEqual(hub.server.seen, []);
  });

  it('with words on directories only where the name may have been one', async () => {
    hub.add('tests/gated', { files: checkpointFiles(), gatedBy: TOKEN });
    const calls: [name: string, options: HubOptions, hasThem: boolean][] = [
      ['tests/none', {}, true],
      [ID, { local_files_only: true }, true],
      ['tests/gated', {}, false],
      [ID, { token: 'wrong' }, false],
      [ID, { revision: 'v9' }, false],
    ];
    for (const [name, options, hasThem] of calls)
      await assert.rejects(Sam3TrackerConfig.from_pretrained(name, { ...options }), (error: Error) => {
        assert.equal(/no such directory/.test(error.message), hasThem, error.message);
        return true;
      });
  });

  it('what a cache of another user lacks, and nothing that it has', async function () {
    // As nobody, who may read the cache of root.
    if (process.getuid?.() !== 0) return this.skip();
    await Sam3TrackerConfig.from_pretrained(ID);
    chmodSync(hub.home, 0o755);
    process.seteuid!(65534);
    try {
      for (const options of [{}, { local_files_only: true }])
        await Sam3TrackerConfig.from_pretrained(ID, options);
      await assert.rejects(Sam3TrackerProcessor.from_pretrained(ID), {
        code: 'FILE_NOT_WRITTEN',
        message: /cannot be written: this process may not use it \(EACCES\)/,
      });
      await assert.rejects(Sam3TrackerConfig.from_pretrained(ID, { force_download: true }), {
        code: 'FILE_NOT_WRITTEN',
      });
    } finally {
      process.seteuid!(0);
    }
  });

  it('no folder of the cache that is a link to another disk', async () => {
    await Sam3TrackerConfig.from_pretrained(ID);
    const elsewhere = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-disk-'));
    for (const folder of [hub.folder(), path.join(hub.folder(), 'blobs')]) {
      const target = path.join(elsewhere, path.basename(folder));
      // A copy, since the other disk is one.
      cpSync(folder, target, { recursive: true, verbatimSymlinks: true });
      rmSync(folder, { recursive: true });
      symlinkSync(target, folder);
      await Sam3TrackerConfig.from_pretrained(ID, { local_files_only: true });
      rmSync(folder);
      cpSync(target, folder, { recursive: true, verbatimSymlinks: true });
    }
    rmSync(elsewhere, { recursive: true });
  });
});
