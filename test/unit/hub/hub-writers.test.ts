/** Several that want the same file of the hub at once: one works, owners that are gone are followed, and none spoils another's. */
import assert from 'node:assert/strict';
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
import { isGone, ownerName, withLock } from '../../../lib/hub/lock';
import { sha256 } from '../../support/hub-server';

/** More than any system's process ids. */
const NOBODY = 2147483647;

/** As if the owner of a file had given no sign of life for so many seconds. */
function makeSilent(file: string, age = 60): void {
  const then = Date.now() / 1000 - age;
  utimesSync(file, then, then);
}

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
  const left = (): string[] => readdirSync(path.dirname(file));
  /** Makes the file of an owner that gave a sign of life so many seconds ago. */
  const hold = (owner: string, age: number, content = ''): string => {
    const held = `${file}.${owner}`;
    writeFileSync(held, content);
    makeSilent(held, age);
    return held;
  };

  it('lets one in at a time, and is free after an error', async () => {
    await Promise.all([visit(), visit(), visit(), visit()]);
    assert.deepEqual(left(), []);
    await assert.rejects(
      withLock(file, () => Promise.reject(new Error('a failure'))),
      /a failure/,
    );
    await visit();
    assert.deepEqual(left(), []);
  });

  it('is taken over from owners that are gone, by one at a time', async () => {
    // The last: another machine, or another container of this one, that has been silent; and one without a name.
    const owners: [string, number][] = [
      [ownerName(NOBODY), 0],
      ['1-0123456789ab-01234567', 60],
      ['', 60],
    ];
    for (const [owner, age] of owners) {
      hold(owner, age);
      await Promise.all([visit(), visit(), visit(), visit(), visit(), visit()]);
      assert.deepEqual(left(), []);
    }
  });

  it('is not taken from an owner that may be there', async () => {
    for (const owner of [ownerName(), '1-0123456789ab-01234567', '']) {
      const held = hold(owner, 0, 'abc');
      let isIn = false;
      const seen: number[] = [];
      const waiting = withLock(
        file,
        () => Promise.resolve((isIn = true)),
        (bytes) => seen.push(bytes),
      );
      await sleep(350);
      assert.ok(!isIn, owner);
      rmSync(held);
      await waiting;
      assert.ok(seen.length > 1 && seen.slice(0, -1).every((bytes) => bytes === 3), String(seen));
    }
  });

  it('of which another has taken possession is left to it', async () => {
    let other = '';
    await withLock(file, (mine) => {
      rmSync(mine);
      other = hold(ownerName(NOBODY - 1), 0, 'of the other');
      return Promise.resolve();
    });
    assert.equal(readFileSync(other, 'utf8'), 'of the other');
    assert.deepEqual(left(), [path.basename(other)]);
  });

  it('hands on what the last owner left, be it gone, silent or done', async () => {
    const last = [ownerName(NOBODY), '1-0123456789ab-01234567'].map((owner) => () => hold(owner, 60, 'left'));
    const done = (): void => writeFileSync(file, 'left');
    for (const leave of [...last, done]) {
      leave();
      const found = await withLock(file, (mine) => Promise.resolve(readFileSync(mine, 'utf8')));
      assert.equal(found, 'left');
      assert.deepEqual(left(), ['lock']);
      rmSync(file);
    }
  });

  it('ends the waiting with the error of whoever is told of it', async () => {
    hold(ownerName(), 0);
    const stop = (): never => {
      throw new Error('enough');
    };
    await assert.rejects(
      withLock(file, () => Promise.resolve(), stop),
      /enough/,
    );
    assert.equal(left().length, 1);
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

describe('two that download the same, since one was taken for dead,', () => {
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
      force: false,
      stallTimeout: 60_000,
      open,
      report,
    });
    return { result, half, ranges };
  };
  /** The file of the one that is writing. */
  const written = (): string =>
    path.join(
      folder,
      readdirSync(folder).find((name) => /incomplete\.\d+-/.test(name))!,
    );
  const assertWhole = (): void => {
    assert.ok(readFileSync(destination).equals(CONTENT));
    assert.deepEqual(readdirSync(folder), [path.basename(destination)]);
  };

  it('write to a file each: the one that was taken for dead publishes nothing', async () => {
    let wake!: () => void;
    const slow = download(new Promise<void>((resolve) => (wake = resolve)));
    await slow.half;
    makeSilent(written());
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
    makeSilent(written());
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
    const part = (owner: string, bytes: number): void => {
      const file = `${destination}.sam3-tracker.incomplete.${owner}`;
      writeFileSync(file, CONTENT.subarray(0, bytes));
      makeSilent(file);
    };
    part(ownerName(NOBODY), 1000);
    part(ownerName(NOBODY), 2000);
    part('1-0123456789ab-01234567', 500);
    const next = download();
    assert.equal(await next.result, true);
    assert.deepEqual(next.ranges, [2000]);
    assertWhole();
    // What is larger than the content is none of it.
    rmSync(destination);
    writeFileSync(`${destination}.sam3-tracker.incomplete`, Buffer.concat([CONTENT, Buffer.from('x')]));
    const again = download();
    assert.equal(await again.result, true);
    assert.deepEqual(again.ranges, [0]);
    assertWhole();
  });
});
