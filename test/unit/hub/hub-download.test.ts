/** Downloads that are cut, damaged, repeated, raced and killed: what is loaded in the end is whole, or nothing is. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { open_pretrained } from '../../../lib/checkpoint/pretrained-files';
import { HubFixture } from '../../support/hub';
import { sha256 } from '../../support/hub-server';
import { ROOT } from '../../support/python';
import { randomNumbers } from '../../support/random';

const ID = 'tests/tiny';
const WEIGHTS = 'model.safetensors';

/** Downloads the weights; the path of the file in the cache. */
const download = async (force_download = false): Promise<string> =>
  (await open_pretrained(ID, { force_download })).need(WEIGHTS);

describe('a download', () => {
  const hub = new HubFixture();
  let content: Buffer;
  let blob: string;
  let incomplete: string;

  beforeEach(() => {
    content = hub.server.repositories.get(ID)!.files.get(WEIGHTS)!;
    blob = path.join(hub.folder(), 'blobs', sha256(content));
    incomplete = `${blob}.sam3-tracker.incomplete`;
  });

  const assertWhole = (file: string): void => {
    assert.ok(readFileSync(file).equals(content));
    assert.deepEqual(hub.names('blobs'), [sha256(content)]);
    assert.deepEqual(readdirSync(path.join(hub.home, 'hub', '.locks', 'models--tests--tiny')), []);
  };

  it('that is cut at 20 random places goes on where it was', async () => {
    const random = randomNumbers(7);
    hub.server.faults.cutAfter = (number) =>
      number < 20 ? 1 + Math.floor((random() * content.length) / 25) : null;
    assertWhole(await download());
    const asked = hub.server.storeRequests;
    assert.equal(asked.length, 21);
    // What a connection had taken in when it broke may be lost with it.
    assert.ok(hub.server.storeBytes < content.length + 20 * 65_536);
    assert.equal(asked[0].range, undefined);
    const starts = asked.slice(1).map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range!)![1]));
    assert.deepEqual(
      starts,
      [...starts].sort((a, b) => a - b),
    );
  });

  it('from a server that knows no ranges begins again, and ends right', async () => {
    hub.server.faults.ignoresRanges = true;
    hub.server.faults.cutAfter = (number) => (number < 3 ? 100_000 * (3 - number) : null);
    assertWhole(await download());
  });

  it('that gets nowhere is given up, and a later one continues it', async () => {
    hub.server.faults.cutAfter = (number) => (number === 0 ? 1_000_000 : 0);
    await assert.rejects(download(), {
      name: 'Sam3TrackerError',
      code: 'DOWNLOAD_FAILED',
      message: /model\.safetensors of tests\/tiny could not be downloaded \(\d+ of \d+ bytes are here/,
    });
    assert.equal(existsSync(blob), false);
    const kept = readFileSync(incomplete).length;
    assert.ok(kept > 0 && kept <= 1_000_000);
    hub.server.reset();
    assertWhole(await download());
    assert.deepEqual(
      hub.server.storeRequests.map(({ range }) => range),
      [`bytes=${kept}-`],
    );
  });

  it('waits out a hub in trouble', async () => {
    const source = await open_pretrained(ID);
    await source.find('none');
    hub.server.faults.statuses = [503, 429, 502];
    await source.need(WEIGHTS);
    assert.ok(readFileSync(blob).equals(content));
  });

  it('that stands still is taken for cut', async () => {
    process.env.HF_HUB_DOWNLOAD_TIMEOUT = '0.2';
    hub.server.faults.stalls = true;
    const end = sleep(500).then(() => hub.server.reset());
    assertWhole(await download());
    await end;
  });

  it('of other content than the hub names is refused, and nothing of it stays', async () => {
    hub.server.faults.corrupt = (right) => Buffer.concat([right.subarray(0, -1), Buffer.from('x')]);
    await assert.rejects(download(), { code: 'HASH_MISMATCH', message: /arrived with the hash/ });
    assert.deepEqual(hub.names('blobs'), []);
    assert.deepEqual(hub.names('snapshots'), []);
    hub.server.reset();
    assertWhole(await download());
  });

  it('that sends more than the file is refused by its hash, or ends right', async () => {
    hub.server.faults.corrupt = (right) => Buffer.concat([right, Buffer.from('more')]);
    assertWhole(await download());
  });

  it('is made again as a whole where an earlier part was damaged', async () => {
    mkdirSync(path.dirname(incomplete), { recursive: true });
    writeFileSync(incomplete, Buffer.alloc(50_000, 1));
    assertWhole(await download());
    assert.deepEqual(
      hub.server.storeRequests.map(({ range }) => range),
      ['bytes=50000-', undefined],
    );
    hub.server.reset();
    writeFileSync(incomplete, Buffer.alloc(content.length + 5));
    await download(true);
    assertWhole(blob);
  });

  it('replaces a blob that is too short, or too long', async () => {
    const file = await download();
    for (const damaged of [content.subarray(0, 1000), Buffer.concat([content, Buffer.from('x')])]) {
      writeFileSync(blob, damaged);
      assert.equal(await download(), file);
      assertWhole(file);
    }
    // Of the right size it counts as what was downloaded.
    hub.server.reset();
    await download();
    assert.deepEqual(hub.server.storeRequests, []);
    await download(true);
    assert.equal(hub.server.storeRequests.length, 1);
  });

  it('to a full disk says so, keeps what has arrived, and goes on later', async () => {
    const handle = await open(path.join(hub.home, 'probe'), 'w');
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const original = Reflect.get(prototype, 'write') as (this: FileHandle, ...args: unknown[]) => unknown;
    let written = 0;
    prototype.write = function (this: FileHandle, ...args: unknown[]) {
      written += (args[0] as Buffer).length;
      if (written > 500_000)
        return Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
      return Reflect.apply(original, this, args) as never;
    };
    try {
      await assert.rejects(download(), {
        code: 'DOWNLOAD_FAILED',
        message: /not enough space for model\.safetensors.*Make room.*is kept/,
      });
    } finally {
      prototype.write = original as never;
    }
    const kept = readFileSync(incomplete).length;
    assert.ok(kept > 0 && kept <= 500_000);
    hub.server.reset();
    assertWhole(await download());
    assert.equal(hub.server.storeRequests[0].range, `bytes=${kept}-`);
  });
});

describe('downloads at the same time', () => {
  const hub = new HubFixture();

  /** A process that downloads the weights and prints the path. */
  const start = (): ReturnType<typeof spawn> => {
    const code =
      `require(${JSON.stringify(path.join(ROOT, 'lib', 'hub', 'pretrained-files'))})` +
      `.open_pretrained('${ID}').then((model) => model.need('${WEIGHTS}')).then(console.log)`;
    return spawn(process.execPath, ['--require', 'tsx/cjs', '-e', code], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  };
  const outputOf = async (child: ReturnType<typeof spawn>): Promise<string> => {
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (part: string) => (text += part));
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 0);
    return text.trim();
  };

  it('in one process and in two others fetch a file once', async () => {
    const paths = await Promise.all([download(), download(), outputOf(start()), outputOf(start())]);
    assert.equal(new Set(paths).size, 1);
    const content = hub.server.repositories.get(ID)!.files.get(WEIGHTS)!;
    assert.ok(readFileSync(paths[0]).equals(content));
    assert.equal(hub.server.storeBytes, content.length);
  });

  it('go on from a process that was killed in the middle', async () => {
    hub.server.faults.stalls = true;
    const child = start();
    const content = hub.server.repositories.get(ID)!.files.get(WEIGHTS)!;
    // While it is written to it bears the name of its process, and afterwards it does not.
    const incomplete = (): string | undefined =>
      hub.names('blobs').find((name) => name.startsWith(`${sha256(content)}.${child.pid}-`));
    const arrived = (name: string | undefined): boolean =>
      name !== undefined && readFileSync(path.join(hub.folder(), 'blobs', name)).length > 0;
    while (!arrived(incomplete())) {
      assert.equal(child.exitCode, null, 'the process ended before it was killed');
      await sleep(20);
    }
    child.kill('SIGKILL');
    await once(child, 'close');
    assert.equal(readdirSync(path.join(hub.home, 'hub', '.locks', 'models--tests--tiny')).length, 1);
    hub.server.reset();
    assert.ok(readFileSync(await download()).equals(content));
    assert.deepEqual(
      hub.server.storeRequests.map(({ range }) => range),
      ['bytes=10-'],
    );
    assert.deepEqual(hub.names('blobs'), [sha256(content)]);
  });
});

describe('a proxy', () => {
  new HubFixture();
  let proxy: Server;
  let through: string[];

  before(async () => {
    proxy = createServer((incoming, response) => {
      // A plain proxy: the whole URL is in the request line.
      through.push(incoming.url!);
      const { hostname, port, pathname, search } = new URL(incoming.url!);
      const onward = request(
        { hostname, port, path: pathname + search, headers: incoming.headers, method: incoming.method },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        },
      );
      incoming.pipe(onward);
    });
    proxy.on('connect', (incoming, socket) => {
      through.push(incoming.url!);
      const { hostname, port } = new URL(`http://${incoming.url}`);
      const onward = net.connect(Number(port), hostname, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy());
    });
    proxy.listen(0);
    await once(proxy, 'listening');
  });
  after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  it('of the environment is used, and not for hosts in NO_PROXY', async () => {
    through = [];
    process.env.HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    await download();
    const to = new Set(through.map((url) => new URL(url.includes('://') ? url : `http://${url}`).hostname));
    assert.deepEqual([...to].sort(), ['127.0.0.1', 'localhost']);
    through = [];
    process.env.NO_PROXY = '127.0.0.1,localhost';
    await download(true);
    assert.deepEqual(through, []);
  });
});
