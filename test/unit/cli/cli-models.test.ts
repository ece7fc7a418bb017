/** The commands for checkpoints: download, inspect, verify, export. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { main } from '../../../lib/cli/main';
import type { ModelRecord } from '../../../lib/cli/commands/inspect';
import { agrees } from '../../../lib/cli/commands/verify';
import { BUNDLED_MODEL, withModelCopy } from '../../support/bundled-model';
import { HubFixture } from '../../support/hub';
import { ROOT, requirePython } from '../../support/python';
import { readWeights, writeWeights } from '../../support/safetensors';

const ID = 'tests/tiny';
const WEIGHTS = 'model.safetensors';
const SOME_WEIGHT = 'mask_decoder.iou_token.weight';
const COFFEE = path.join(ROOT, 'examples', 'images', 'coffee.png');

async function run(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  const code = await main(argv, {
    stdout: { write: (part) => (text.stdout += part) },
    stderr: { write: (part) => (text.stderr += part) },
  });
  return { code, ...text };
}

const inspect = async (model: string): Promise<ModelRecord> =>
  JSON.parse((await run('inspect', model, '--json')).stdout) as ModelRecord;

describe('sam3-tracker download', () => {
  const hub = new HubFixture();

  it('puts a model into the cache and prints its folder, which the other commands take', async () => {
    const { code, stdout, stderr } = await run('download', ID);
    assert.equal(code, 0, stderr);
    const folder = stdout.trim();
    assert.equal(folder, path.join(hub.folder(), 'snapshots', hub.server.commit(ID)));
    assert.deepEqual(readdirSync(folder).sort(), ['config.json', WEIGHTS, 'processor_config.json']);
    assert.match(stderr, /^Downloading config\.json[^]*Downloading model\.safetensors \(4\.0 MB\)\n$/);
    for (const name of [folder, ID]) assert.equal((await inspect(name)).problem, null);
    hub.server.reset();
    // It only looks.
    for (const revision of ['main', 'v9']) await run('inspect', ID, '--revision', revision);
    assert.deepEqual(hub.server.seen, []);
    const again = await run('download', ID, '--quiet');
    assert.deepEqual(again, { code: 0, stdout, stderr: '' });
    assert.deepEqual(hub.server.storeRequests, []);
  });

  it('takes a revision, a token and a cache', async () => {
    hub.server.repositories.get(ID)!.gatedBy = 'hf_right';
    const cache = path.join(hub.home, 'elsewhere');
    const wrong = await run('download', ID, '--token', 'hf_wrong');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /^sam3-tracker: tests\/tiny is gated/m);
    const options = ['--token', 'hf_right', '--revision', 'v1', '--cache-dir', cache];
    const right = await run('download', ID, ...options);
    assert.equal(right.code, 0, right.stderr);
    assert.ok(right.stdout.startsWith(cache));
    assert.equal((await run('download', ID, '--revision', 'v9', '--token', 'hf_right')).code, 1);
  });

  it('says that there are no graphs, and downloads what the exporter needs', async () => {
    const { files } = hub.server.repositories.get(ID)!;
    const config = JSON.parse(files.get('config.json')!.toString()) as { mask_decoder_config: object };
    config.mask_decoder_config = { ...config.mask_decoder_config, mlp_dim: 32 };
    files.set('config.json', Buffer.from(JSON.stringify(config)));
    const { code, stderr } = await run('download', ID);
    assert.equal(code, 0);
    assert.match(stderr, /Note: This package has no graphs for this configuration/);
    const folder = path.join(hub.folder(), 'snapshots', hub.server.commit(ID));
    assert.ok(stderr.includes(`sam3-tracker export --checkpoint ${folder} --out `));
  });
});

describe('sam3-tracker inspect of a model on the hub', () => {
  const hub = new HubFixture();

  it('that is not in the cache names the command that fetches it', async () => {
    const { code, stderr } = await run('inspect', ID);
    assert.equal(code, 1);
    assert.match(stderr, /only looks \("sam3-tracker download tests\/tiny" fetches it\)/);
    assert.doesNotMatch(stderr, /local_files_only/);
    assert.deepEqual(hub.server.seen, []);
  });
});

describe('sam3-tracker inspect', () => {
  it('shows what would be loaded', async () => {
    const { code, stdout } = await run('inspect', 'sam3-tracker-tiny', '--hash');
    assert.equal(code, 0);
    assert.match(stdout, /^loaded +2\.0 M parameters in 313 tensors \(313 of float16\), 3\.9 MB$/m);
    assert.match(stdout, /^loads +yes$/m);
    assert.match(stdout, /model\.safetensors, 4\.0 MB, sha256 [0-9a-f]{64}/);
    const record = await inspect(BUNDLED_MODEL);
    const manifest = JSON.parse(
      readFileSync(path.join(BUNDLED_MODEL, 'torchscript', 'manifest.json'), 'utf8'),
    ) as { config_hash: string; files: Record<string, { sha256: string; bytes: number }> };
    assert.equal(record.config_hash, manifest.config_hash);
    for (const { file, bytes, sha256 } of record.graphs)
      assert.deepEqual({ sha256, bytes }, manifest.files[path.basename(file)]);
    const bare = await run('inspect', 'sam3');
    assert.equal(bare.code, 1);
    assert.match(bare.stdout, /^loads +no: it has no weights$/m);
  });

  it('names what is missing, too much, there twice, misshapen and of other parts', () =>
    withModelCopy(async (copy) => {
      const weights = readWeights(copy.file(WEIGHTS));
      const edit = async (change: (changed: typeof weights) => void): Promise<ModelRecord> => {
        const changed = new Map(weights);
        change(changed);
        writeWeights(copy.file(WEIGHTS), changed);
        assert.equal((await run('inspect', copy.directory)).code, 1);
        return inspect(copy.directory);
      };
      const weight = weights.get(SOME_WEIGHT)!;
      const missing = await edit((changed) => changed.delete(SOME_WEIGHT));
      assert.deepEqual(missing.missing, [SOME_WEIGHT]);
      assert.match(missing.problem!, /^1 weight is missing: mask_decoder\.iou_token\.weight$/);
      const unexpected = await edit((changed) => {
        changed.set('mask_decoder.extra', weight);
        changed.set('detector_model.text', weight);
      });
      assert.deepEqual(unexpected.unexpected, ['mask_decoder.extra']);
      assert.deepEqual(unexpected.ignored, { tensors: 1, bytes: weight.bytes.length });
      const twice = await edit((changed) => changed.set(`tracker_model.${SOME_WEIGHT}`, weight));
      assert.deepEqual(twice.duplicates, [SOME_WEIGHT]);
      const shape = [...weight.shape].reverse();
      const misshapen = await edit((changed) => changed.set(SOME_WEIGHT, { ...weight, shape }));
      assert.deepEqual(misshapen.misshapen, [{ name: SOME_WEIGHT, found: shape, expected: weight.shape }]);
      const unreadable = await edit((changed) => {
        changed.set(SOME_WEIGHT, { ...weight, dtype: 'F8_E4M3' });
        changed.set('detector_model.text', { ...weight, dtype: 'F8_E4M3' });
      });
      assert.deepEqual(unreadable.unreadable, [{ name: SOME_WEIGHT, dtype: 'F8_E4M3' }]);
      assert.match(unreadable.problem!, /^1 weight has a dtype that cannot be read \(F8_E4M3\)/);
      writeFileSync(copy.file('torchscript/mask_decoder.pt'), 'altered');
      assert.match((await inspect(copy.directory)).problem!, /sha256/);
      copy.remove('config.json');
      const nothing = await run('inspect', copy.directory);
      assert.equal(nothing.code, 1);
      assert.match(nothing.stderr, /no config\.json/);
    }));
});

describe('sam3-tracker verify', () => {
  it('prints the published values beside those found, and fails where they differ', async () => {
    const { code, stdout } = await run('verify', 'sam3-tracker-tiny', '--image', COFFEE, '--device', 'cpu');
    assert.equal(code, 1);
    assert.equal(stdout.match(/differs$/gm)?.length, 12);
    assert.match(stdout, /^one point: score 1 +0\.9106 +\d\.\d{4} +-?\d\.\d{4} {2}differs$/m);
    assert.match(stdout, /^0 of 12 values agree within 0\.0001 \(sam3-tracker-tiny, cpu, float32\)$/m);
    const lax = await run('verify', 'sam3-tracker-tiny', '--image', COFFEE, '--tolerance', '1e9');
    assert.equal(lax.code, 0);
    assert.equal((await run('verify', '--tolerance', 'x')).code, 2);
    // As torch.testing.assert_close with atol and rtol of 1e-4.
    assert.ok(agrees({ what: '', expected: -31.1757, found: -31.1788 }, 1e-4));
    assert.ok(!agrees({ what: '', expected: -31.1757, found: -31.1792 }, 1e-4));
    assert.ok(agrees({ what: '', expected: 0.9106, found: 0.91079 }, 1e-4));
    assert.ok(!agrees({ what: '', expected: 0.9106, found: 0.9108 }, 1e-4));
  });

  it('agrees with the published values of facebook/sam3', async function () {
    const directory = process.env.SAM3_TRACKER_SAM3_CHECKPOINT;
    const image = process.env.SAM3_TRACKER_SAM3_IMAGE;
    if (!directory || !image) {
      process.stdout.write(
        '    (skipped: SAM3_TRACKER_SAM3_CHECKPOINT and SAM3_TRACKER_SAM3_IMAGE name no real weights and truck.jpg)\n',
      );
      return this.skip();
    }
    this.timeout(600_000);
    const { code, stdout, stderr } = await run('verify', directory, '--image', image);
    assert.equal(code, 0, stdout + stderr);
  });
});

describe('sam3-tracker export', () => {
  const hub = new HubFixture();

  it('runs the exporter, and gives its text and exit code', async function () {
    requirePython(this);
    const help = await run('export', '--help');
    assert.equal(help.code, 0, help.stderr);
    assert.match(help.stdout, /--checkpoint DIRECTORY_OR_ID/);
    const wrong = await run('export', '--out', hub.home);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /required/);
    const out = path.join(hub.home, 'exported');
    const made = await run('export', '--config-only', path.join(BUNDLED_MODEL, 'config.json'), '--out', out);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /Wrote /);
    assert.equal(
      (await inspect(out)).graphs[0].sha256,
      (await inspect('sam3-tracker-tiny')).graphs[0].sha256,
    );
  });

  it('says what it needs where there is no Python', async () => {
    process.env.SAM3_TRACKER_PYTHON = path.join(hub.home, 'python');
    try {
      const { code, stderr } = await run('export', '--help');
      assert.equal(code, 1);
      assert.match(stderr, /needs Python 3\.10 or later.*SAM3_TRACKER_PYTHON/);
      assert.match(
        stderr,
        /pip install -r .*requirements\.txt" \(torch==.*, transformers==.*, safetensors==/,
      );
    } finally {
      delete process.env.SAM3_TRACKER_PYTHON;
    }
  });
});

describe('a checkpoint on a machine without Python', () => {
  it('is loaded and run by the tool alone', () =>
    withModelCopy((copy) => {
      copy.remove('torchscript');
      const empty = copy.file('empty');
      mkdirSync(empty);
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [
          '--import',
          'tsx',
          'lib/cli/main.ts',
          'segment',
          COFFEE,
          '--point',
          '235,215',
          '--json',
          '--model',
          copy.directory,
        ],
        { cwd: ROOT, encoding: 'utf8', env: { ...process.env, PATH: empty, PYTHONHOME: empty } },
      );
      assert.equal(status, 0, stderr);
      assert.equal((JSON.parse(stdout) as unknown[]).length, 1);
    }));
});
