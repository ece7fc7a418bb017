/** The package under Jest, which runs everything in a context with JavaScript classes of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { Sam3TrackerConfig } from '../../lib';
import { HubFixture } from '../support/hub';

const ROOT = path.join(__dirname, '..', '..');
const FIXTURE = path.join(__dirname, 'jest');

describe('Jest', () => {
  const hub = new HubFixture();

  it('passes all tests of the fixture', async () => {
    const config = {
      rootDir: FIXTURE,
      testMatch: ['**/*.jest.cjs'],
      transform: { '\\.ts$': path.join(FIXTURE, 'transform.cjs') },
      moduleNameMapper: { '^sam3-tracker$': path.join(ROOT, 'lib', 'index.ts') },
      moduleFileExtensions: ['ts', 'js', 'cjs', 'json', 'node'],
      cacheDirectory: path.join(hub.home, 'jest'),
      testTimeout: 60_000,
      watchman: false,
    };
    const jest = path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
    const { stderr } = await promisify(execFile)(
      process.execPath,
      [jest, '--runInBand', '--config', JSON.stringify(config)],
      {
        cwd: ROOT,
        env: { ...process.env, EXPECTED_CONFIGURATION: new Sam3TrackerConfig().to_json_string() },
        timeout: 150_000,
      },
    ).catch((error: { stderr?: string }) => ({ stderr: error.stderr ?? '' }));
    assert.match(stderr, /^Tests: +(\d+) passed, \1 total$/m, stderr);
  });
});
