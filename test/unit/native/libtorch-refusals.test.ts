/** `sam3-tracker libtorch`: what is refused before pip fetches anything, and its command line. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { installLibtorch } from '../../../lib/cli/commands/libtorch-install';
import { main } from '../../../lib/cli/main';

const RELEASE = '2.13.0';

describe('sam3-tracker libtorch', () => {
  let directory: string;
  const said = { stdout: '', stderr: '' };
  const output = {
    stdout: { write: (text: string) => (said.stdout += text) },
    stderr: { write: (text: string) => (said.stderr += text) },
  };
  const saved = process.env.PYTHON;
  const file = (name: string): string => path.join(directory, name);
  const target = (): string => file('libtorch');

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-libtorch-'));
    Object.assign(said, { stdout: '', stderr: '' });
    process.env.PYTHON = file('python');
    writeFileSync(process.env.PYTHON, '#!/bin/sh\necho 3.12\n', { mode: 0o755 });
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
    if (saved === undefined) delete process.env.PYTHON;
    else process.env.PYTHON = saved;
  });

  it('says that a folder may only be read, before anything is fetched', async () => {
    const home = file('home');
    mkdirSync(home, { mode: 0o555 });
    chmodSync(directory, 0o755);
    const request = { release: RELEASE, build: 'cpu', directory: path.join(home, 'libtorch') } as const;
    // Nothing is read-only for root.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      await assert.rejects(installLibtorch(request, output), {
        code: 'DOWNLOAD_FAILED',
        message: /home cannot be written to: choose a directory with --dir\. \(EACCES/,
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
    assert.equal(said.stderr, '');
  });

  it('says what is wrong with Python, with the directory, and what cannot be fetched', async () => {
    const install = (): Promise<void> =>
      installLibtorch({ release: RELEASE, build: 'cpu', directory: target() }, output);
    mkdirSync(target());
    writeFileSync(path.join(target(), 'mine'), '');
    await assert.rejects(install(), {
      code: 'DOWNLOAD_FAILED',
      message: /is not empty and holds no libtorch/,
    });
    rmSync(target(), { recursive: true });
    const elsewhere = { release: RELEASE, build: 'cpu', directory: path.join(__filename, 'x') } as const;
    await assert.rejects(installLibtorch(elsewhere, output), {
      message: /cannot be written to: choose a directory/,
    });
    for (const [text, expected] of [
      ['#!/bin/sh\necho 3.8\n', /Python 3\.10 to 3\.14 with pip is needed .*is 3\.8/],
      ['#!/bin/sh\n[ "$1" = -c ] && echo 3.12\n', /\(3\.12\) has no pip: apt-get install python3-pip/],
      ['#!/bin/sh\nexit 1\n', /Python 3\.10 to 3\.14 with pip is needed to fetch libtorch\. /],
    ] as const) {
      writeFileSync(file('python'), text);
      await assert.rejects(install(), { code: 'DOWNLOAD_FAILED', message: expected });
    }
  });

  it('has "which" tell the directory, and a wrong command line its usage', async () => {
    assert.equal(await main(['libtorch', 'which'], output), 0);
    assert.ok(existsSync(path.join(said.stdout.trim(), 'lib')), said.stdout);
    assert.match(said.stderr, /^libtorch \d+\.\d+\.\d+.*, (CPU|CUDA) build$/m);
    assert.equal(
      await main(['libtorch', 'which', '--json'], {
        ...output,
        stdout: { write: (text) => (said.stdout = text) },
      }),
      0,
    );
    const { needed, chosen, places } = JSON.parse(said.stdout) as Record<string, object>;
    assert.ok(needed && chosen && Array.isArray(places));
    assert.equal(await main(['libtorch', 'install', '--cpu', '--cuda'], output), 2);
    assert.equal(await main(['libtorch', 'eat'], output), 2);
  });
});
