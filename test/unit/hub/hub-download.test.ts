/** Downloads that are cut, damaged, repeated, raced and killed: what is loaded in the end is whole, or nothing is. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPretrained } from '../../../lib/checkpoint/pretrained-files';
import { HubFixture } from '../../support/hub';
import { partFrom, sha256, type Faults } from '../../support/hub-server';
import { ROOT } from '../../support/python';
import { randomNumbers } from '../../support/random';

const ID = 'tests/tiny';
const WEIGHTS = 'model.safetensors';

/** Downloads the weights; the path of the file in the cache. */
const download = async (force_download = false): Promise<string> =>
  (await openPretrained(ID, { force_download })).need(WEIGHTS);

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
    // So may all of the first one.
    const starts = asked.slice(1).map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')![1]));
    assert.deepEqual(
      starts,
      [...starts].sort((a, b) => a - b),
    );
  });

  it('from a server that knows no ranges begins again, and ends right', async () => {
    hub.server.faults.answerRange = (_, whole) => ({ status: 200, body: whole });
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
    const source = await openPretrained(ID);
    await source.find('none');
    hub.server.faults.statuses = [503, 429, 502];
    await source.need(WEIGHTS);
    assert.ok(readFileSync(blob).equals(content));
  });

  it('that stalls is taken for cut', async () => {
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
    const original = Reflect.get(prototype, 'appendFile');
    let written = 0;
    prototype.appendFile = function (this: FileHandle, data: string | Uint8Array) {
      written += data.length;
      if (written > 500_000)
        return Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
      return Reflect.apply(original, this, [data]);
    };
    try {
      await assert.rejects(download(), {
        code: 'DOWNLOAD_FAILED',
        message: /not enough space for model\.safetensors.*Make room.*is kept/,
      });
    } finally {
      prototype.appendFile = original;
    }
    const kept = readFileSync(incomplete).length;
    assert.ok(kept > 0 && kept <= 500_000);
    hub.server.reset();
    assertWhole(await download());
    assert.equal(hub.server.storeRequests[0].range, `bytes=${kept}-`);
  });
});

describe('a request for the rest of a file', () => {
  const hub = new HubFixture();
  const random = randomNumbers(3);
  const content = Buffer.from(Array.from({ length: 300_000 }, () => Math.floor(256 * random())));
  const etag = sha256(content);
  let blob: string;

  beforeEach(() => {
    hub.add(ID, { files: new Map([[WEIGHTS, content]]) });
    blob = path.join(hub.folder(), 'blobs', etag);
  });

  const half = (): Buffer => content.subarray(0, Math.floor(content.length / 2));
  /** What an earlier process left. */
  const leave = (part: Buffer): void => {
    mkdirSync(path.dirname(blob), { recursive: true });
    writeFileSync(`${blob}.sam3-tracker.incomplete`, part);
  };
  const assertWhole = (requests: number): void => {
    assert.ok(readFileSync(blob).equals(content));
    assert.deepEqual(hub.names('blobs'), [etag]);
    assert.ok(hub.server.storeRequests.length <= requests, `${hub.server.storeRequests.length} requests`);
  };
  const answers: [what: string, answer: Faults['answerRange'] & object][] = [
    ['with 206 and the rest', partFrom],
    [
      'with 206 and the rest, of no known size',
      (start, all) => ({
        ...partFrom(start, all),
        range: `bytes ${start}-${all.length - 1}/*`,
      }),
    ],
    [
      'with 206 and less than the rest',
      (start, all) => ({
        status: 206,
        range: `bytes ${start}-${all.length - 101}/${all.length}`,
        body: all.subarray(start, -100),
      }),
    ],
    ['with 206 and a later range', (start, all) => partFrom(start + 10, all)],
    ['with 206 and an earlier range', (start, all) => partFrom(start - 10, all)],
    ['with 206 and everything', (_, all) => partFrom(0, all)],
    [
      'with 206 and the beginning, of 99 bytes',
      (_, all) => ({
        status: 206,
        range: `bytes 0-98/${all.length}`,
        body: all.subarray(0, 99),
      }),
    ],
    ['with 206 without a range', (start, all) => ({ status: 206, body: all.subarray(start) })],
    ['with 206 and a range that is none', (start, all) => ({ ...partFrom(start, all), range: 'bytes */*' })],
    [
      'with 206 and other bytes than it says',
      (start, all) => ({ ...partFrom(start, all), body: all.subarray(0, all.length - start) }),
    ],
    ['with 200 and everything', (_, all) => ({ status: 200, body: all })],
    ['with 200, everything and its range', (_, all) => ({ ...partFrom(0, all), status: 200 })],
    ['with 200, the rest and its range', (start, all) => ({ ...partFrom(start, all), status: 200 })],
    [
      'with 200, everything and the range of the rest',
      (start, all) => ({
        ...partFrom(start, all),
        status: 200,
        body: all,
      }),
    ],
    [
      'with 200 and the rest, as if that were everything',
      (start, all) => ({ status: 200, body: all.subarray(start) }),
    ],
    ['with 416', (_, all) => ({ status: 416, range: `bytes */${all.length}`, body: Buffer.alloc(0) })],
    ['with 416 of a shorter file', () => ({ status: 416, range: 'bytes */7', body: Buffer.alloc(0) })],
    ['with 206 of a shorter file', (start, all) => partFrom(start, all.subarray(0, -50))],
    ['with 400', () => ({ status: 400, body: Buffer.from('no ranges') })],
    ['with 403', () => ({ status: 403, body: Buffer.from('no ranges') })],
    ...[500, 502, 503].map((status): [string, NonNullable<Faults['answerRange']>] => [
      `with ${status}, to ranges alone`,
      () => ({ status, body: Buffer.from('out of order') }),
    ]),
    ['with 204', () => ({ status: 204, body: Buffer.alloc(0) })],
  ];
  for (const [what, answerRange] of answers)
    it(`that is answered ${what} ends with the right file`, async () => {
      // A line that breaks at half.
      Object.assign(hub.server.faults, { answerRange });
      hub.server.faults.cutAfter = (request) => (request === 0 ? half().length : null);
      await download();
      assertWhole(5);
      // What an earlier process left, right and wrong.
      for (const part of [half(), Buffer.alloc(50_000, 1), content.subarray(0, -1)]) {
        hub.server.reset();
        Object.assign(hub.server.faults, { answerRange });
        writeFileSync(blob, '');
        leave(part);
        await download();
        assertWhole(5);
      }
      // What is left is of no account where everything is to be fetched again.
      hub.server.reset();
      leave(half());
      await download(true);
      assertWhole(1);
      assert.equal(hub.server.storeRequests[0].range, undefined);
    });

  const refusals: [what: string, faults: () => Partial<Faults>, code: string][] = [
    [
      'with 416 on a line that always breaks at half',
      () => ({
        answerRange: () => ({ status: 416, body: Buffer.alloc(0) }),
        cutAfter: () => half().length,
      }),
      'DOWNLOAD_FAILED',
    ],
    [
      'with 200 and a range on a line that always breaks at half',
      () => ({
        answerRange: (start, all) => ({
          ...partFrom(start, all),
          status: 200,
          range: `bytes 5-9/${all.length}`,
        }),
        cutAfter: () => half().length,
      }),
      'DOWNLOAD_FAILED',
    ],
    [
      'by a server whose file is shorter than it was',
      () => ({
        corrupt: (all) => all.subarray(0, half().length - 10),
      }),
      'DOWNLOAD_FAILED',
    ],
    [
      'by a server whose file is another one than it was',
      () => ({
        corrupt: (all) => Buffer.from(all).fill(0, all.length - 10),
      }),
      'HASH_MISMATCH',
    ],
  ];
  for (const [what, faults, code] of refusals)
    it(`that is answered ${what} is one error, and no harm to later calls`, async function () {
      this.timeout(20_000);
      for (const force of code === 'HASH_MISMATCH' ? [false, true] : [false]) {
        hub.server.reset();
        leave(half());
        Object.assign(hub.server.faults, faults());
        await assert.rejects(download(force), { name: 'Sam3TrackerError', code });
        assert.ok(hub.server.storeRequests.length <= 10, `${hub.server.storeRequests.length} requests`);
        assert.ok(!existsSync(blob));
      }
      hub.server.reset();
      await download();
      assertWhole(3);
      hub.server.reset();
      await download(true);
      assertWhole(1);
    });

  it('to a server that has meanwhile changed the file gives the right one, or nothing', async () => {
    hub.server.faults.cutAfter = (request) => (request === 0 ? half().length : null);
    hub.server.faults.corrupt = (all, request) => (request === 0 ? Buffer.from(all).fill(3, 0, 10) : all);
    await download();
    assertWhole(3);
    hub.server.reset();
    hub.server.faults.cutAfter = (request) => (request === 0 ? half().length : null);
    hub.server.faults.corrupt = (all, request) =>
      request > 0 ? Buffer.from(all).fill(3, all.length - 10) : all;
    await assert.rejects(download(true), { code: 'HASH_MISMATCH' });
    // What was there is still there.
    assertWhole(3);
  });
});

describe('downloads at the same time', () => {
  const hub = new HubFixture();

  /** A process that downloads the weights and prints the path. */
  const start = (): ReturnType<typeof spawn> => {
    const code =
      `require(${JSON.stringify(path.join(ROOT, 'lib', 'checkpoint', 'pretrained-files'))})` +
      `.openPretrained('${ID}').then((model) => model.need('${WEIGHTS}')).then(console.log)`;
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
      hub.names('blobs').find((name) => name.includes(`.incomplete.${child.pid}-`));
    const arrived = (name: string | undefined): boolean =>
      name !== undefined && readFileSync(path.join(hub.folder(), 'blobs', name)).length > 0;
    while (!arrived(incomplete())) {
      assert.equal(child.exitCode, null, 'the process ended before it was killed');
      await sleep(20);
    }
    child.kill('SIGKILL');
    await once(child, 'close');
    assert.equal(hub.names('blobs').length, 1);
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
