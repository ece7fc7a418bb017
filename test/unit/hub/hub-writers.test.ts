/** Several that want the same file of the hub at once: one works, owners that are gone are followed, and none spoils another's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { downloadFile } from '../../../lib/hub/download';
import { withLock } from '../../../lib/hub/lock';
import { isGone, ownerName } from '../../../lib/hub/owner';
import { sha256 } from '../../support/hub-server';

/** More than any system's process ids. */
const NOBODY = 2147483647;

describe('the lock of a download', () => {
  let folder: string;
  let file: string;
  let inside: number;

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-lock-'));
    file = path.join(folder, 'a', 'lock');
    mkdirSync(path.dirname(file));
    inside = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const visit = (): Promise<void> =>
    withLock(file, async () => {
      inside++;
      await sleep(5);
      assert.equal(inside, 1);
      inside--;
    });
  const leave = (owner: string, age: number, where = file): void => {
    writeFileSync(where, owner);
    const then = Date.now() / 1000 - age;
    utimesSync(where, then, then);
  };
  const assertNothingLeft = (): void => assert.deepEqual(readdirSync(path.dirname(file)), []);

  it('lets one in at a time, and is free after an error', async () => {
    await Promise.all([visit(), visit(), visit(), visit()]);
    assertNothingLeft();
    await assert.rejects(
      withLock(file, () => Promise.reject(new Error('a failure'))),
      /a failure/,
    );
    await visit();
    assertNothingLeft();
  });

  it('is taken over from owners that are gone, by one at a time', async () => {
    const owners: [string, number][] = [
      [ownerName(NOBODY), 0],
      // Another machine, or another container of this one, that has been silent; and one that wrote no name.
      ['1-0123456789ab-01234567', 60],
      ['', 60],
    ];
    for (const [owner, age] of owners)
      for (let round = 0; round < 5; round++) {
        leave(owner, age);
        await Promise.all([visit(), visit(), visit(), visit(), visit(), visit()]);
        assertNothingLeft();
      }
  });

  it('is not taken from an owner that may be there', async () => {
    for (const owner of [ownerName(), '1-0123456789ab-01234567', '']) {
      leave(owner, 0);
      let isIn = false;
      const waiting = withLock(file, () => Promise.resolve((isIn = true)));
      await sleep(250);
      assert.ok(!isIn, owner);
      rmSync(file);
      await waiting;
    }
  });

  it('of which another has taken possession is left to it', async () => {
    const other = ownerName(NOBODY - 1);
    await withLock(file, () => Promise.resolve(leave(other, 0)));
    assert.equal(readFileSync(file, 'utf8'), other);
  });

  it('is taken over although a process ended while it took it over', async () => {
    const owner = ownerName(NOBODY);
    leave(owner, 0);
    leave(ownerName(NOBODY), 0, `${file}.${createHash('sha256').update(owner).digest('hex').slice(0, 12)}`);
    await visit();
    assertNothingLeft();
  });
});

describe('the name of an owner', () => {
  it('tells a process that has ended from one that runs, and from one that cannot be seen', () => {
    assert.ok(isGone(ownerName(NOBODY)));
    assert.ok(!isGone(ownerName()));
    assert.ok(!isGone(ownerName(NOBODY).replace(/-[0-9a-f]{12}-/, '-0123456789ab-')));
    for (const name of ['', 'x', `${NOBODY} ${os.hostname()}`]) assert.ok(!isGone(name));
    assert.notEqual(ownerName(), ownerName());
  });
});

describe('two that download the same without a lock', () => {
  const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
  const HALF = 150_000;
  let folder: string;
  let destination: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-writers-'));
    destination = path.join(folder, sha256(CONTENT));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Downloads the content; after the first half it waits, and the second may be changed. */
  const download = (
    pause: Promise<unknown> = Promise.resolve(),
    change = (part: Buffer): Buffer => part,
  ): { result: Promise<boolean>; half: Promise<void>; ranges: number[] } => {
    let reached: () => void;
    const half = new Promise<void>((resolve) => (reached = resolve));
    const ranges: number[] = [];
    const open = (start: number): Promise<Response> => {
      ranges.push(start);
      async function* body(): AsyncGenerator<Buffer> {
        if (start < HALF) yield CONTENT.subarray(start, HALF);
        await pause;
        yield change(Buffer.from(CONTENT.subarray(Math.max(start, HALF))));
      }
      const headers = { 'content-range': `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` };
      return Promise.resolve(
        new Response(ReadableStream.from(body()) as never, {
          status: start > 0 ? 206 : 200,
          headers: start > 0 ? headers : {},
        }),
      );
    };
    const report = (loaded: number): void => {
      if (loaded >= HALF) reached();
    };
    const result = downloadFile({
      etag: sha256(CONTENT),
      size: CONTENT.length,
      name: 'x',
      destination,
      stallTimeout: 60_000,
      open,
      report,
    });
    return { result, half, ranges };
  };
  const assertWhole = (): void => {
    assert.ok(readFileSync(destination).equals(CONTENT));
    assert.deepEqual(readdirSync(folder), [path.basename(destination)]);
  };

  it('write to a file each: the one that was taken for dead publishes nothing', async () => {
    let wake!: () => void;
    const slow = download(new Promise<void>((resolve) => (wake = resolve)));
    await slow.half;
    const fast = download();
    assert.equal(await fast.result, true);
    // It went on with what the other had.
    assert.deepEqual(fast.ranges, [HALF]);
    assertWhole();
    wake();
    assert.equal(await slow.result, false);
    assertWhole();
  });

  it('spoil nothing that is published, whatever still arrives', async () => {
    let wake!: () => void;
    const slow = download(new Promise<void>((resolve) => (wake = resolve)), (part) => part.fill(0));
    await slow.half;
    assert.equal(await download().result, true);
    wake();
    await assert.rejects(slow.result, { code: 'HASH_MISMATCH' });
    assertWhole();
  });

  it('leave what arrived to the next, under a name that says that nobody writes to it', async () => {
    const broken = download(sleep(20).then(() => Promise.reject(new Error('a broken connection'))));
    await assert.rejects(broken.result, { code: 'DOWNLOAD_FAILED' });
    assert.deepEqual(readdirSync(folder), [`${sha256(CONTENT)}.sam3-tracker.incomplete`]);
    assert.ok(!existsSync(destination));
    const next = download();
    assert.equal(await next.result, true);
    assert.deepEqual(next.ranges, [HALF]);
    assertWhole();
  });

  it('go on with the largest part of processes that ended, and remove the others', async () => {
    const part = (owner: string, bytes: number): void =>
      writeFileSync(`${destination}.${owner}.sam3-tracker.incomplete`, CONTENT.subarray(0, bytes));
    part(ownerName(NOBODY), 1000);
    part(ownerName(NOBODY), 2000);
    part('1-0123456789ab-01234567', 500);
    writeFileSync(`${destination}.sam3-tracker.incomplete`, Buffer.concat([CONTENT, CONTENT.subarray(0, 1)]));
    const next = download();
    assert.equal(await next.result, true);
    assert.deepEqual(next.ranges, [2000]);
    assertWhole();
  });
});
