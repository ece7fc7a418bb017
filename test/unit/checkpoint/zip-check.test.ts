/** A zip archive's own checksums: right ones of every kind are taken, any altered byte of content is found. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { checkZip } from '../../../lib/checkpoint/zip-check';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { randomNumbers } from '../../support/random';

const GRAPH = path.join(BUNDLED_MODEL, 'torchscript', 'prompt_encoder.pt');
const REFUSED = {
  name: 'Sam3TrackerError',
  code: 'FILE_INVALID',
  message: /not a readable TorchScript file/,
};

/** The places of the contents of a zip archive's entries, from its local headers. */
function contents(zip: Buffer): [start: number, end: number][] {
  const places: [number, number][] = [];
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  for (let at = zip.readUInt32LE(end + 16); at < end && zip.readUInt32LE(at) === 0x02014b50;) {
    const local = zip.readUInt32LE(at + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    places.push([start, start + zip.readUInt32LE(at + 20)]);
    at += 46 + zip.readUInt16LE(at + 28) + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return places;
}

/** An archive of these entries, in one of the forms that libtorch and Python write. */
function archive(form: 'plain' | 'descriptors' | 'wide', entries: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const push = (...buffers: Buffer[]): void => {
    parts.push(...buffers);
    for (const { length } of buffers) at += length;
  };
  const hasDescriptor = form !== 'plain';
  for (const [name, text] of Object.entries(entries)) {
    const content = Buffer.from(text);
    const packed = deflateRawSync(content);
    const [crc, start] = [crc32(content), at];
    const kind = Buffer.alloc(10);
    kind.writeUInt16LE(20, 0);
    kind.writeUInt16LE(hasDescriptor ? 0x808 : 0, 2);
    kind.writeUInt16LE(8, 4);
    const sizes = Buffer.alloc(12);
    sizes.writeUInt32LE(crc, 0);
    sizes.writeUInt32LE(packed.length, 4);
    sizes.writeUInt32LE(content.length, 8);
    // libtorch fills up to a multiple of 64 bytes with such a field.
    const padding = hasDescriptor ? Buffer.from('FB\x03\0ZZZ') : Buffer.alloc(0);
    const lengths = Buffer.alloc(4);
    lengths.writeUInt16LE(name.length, 0);
    lengths.writeUInt16LE(padding.length, 2);
    push(Buffer.from('PK\x03\x04'), kind, hasDescriptor ? Buffer.alloc(12) : sizes, lengths);
    push(Buffer.from(name), padding, packed);
    const wide = Buffer.alloc(16);
    wide.writeBigUInt64LE(BigInt(packed.length), 0);
    wide.writeBigUInt64LE(BigInt(content.length), 8);
    if (hasDescriptor)
      push(Buffer.from('PK\x07\x08'), sizes.subarray(0, 4), form === 'wide' ? wide : sizes.subarray(4));
    const entry = Buffer.alloc(46);
    entry.write('PK\x01\x02');
    kind.copy(entry, 6);
    sizes.copy(entry, 16);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(start, 42);
    directory.push(entry, Buffer.from(name));
  }
  const start = at;
  push(...directory);
  const [length, count] = [at - start, Object.keys(entries).length];
  if (form === 'wide') {
    const record = Buffer.alloc(56);
    record.write('PK\x06\x06');
    for (const [offset, value] of [
      [4, 44],
      [24, count],
      [32, count],
      [40, length],
      [48, start],
    ])
      record.writeBigUInt64LE(BigInt(value), offset);
    const locator = Buffer.alloc(20);
    locator.write('PK\x06\x07');
    locator.writeBigUInt64LE(BigInt(at), 8);
    locator.writeUInt32LE(1, 16);
    push(record, locator);
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(length, 12);
  end.writeUInt32LE(start, 16);
  push(end);
  return Buffer.concat(parts);
}

describe('the checksums of an archive', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-zip-'));
    file = path.join(folder, 'graph.pt');
    copyFileSync(GRAPH, file);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are right in every graph of the package, and are read in silence', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    for (const id of ['sam3', 'sam3-tracker-tiny'])
      for (const name of ['vision_encoder', 'prompt_encoder', 'mask_decoder'])
        await checkZip(path.join(BUNDLED_MODEL, '..', id, 'torchscript', `${name}.pt`));
    // Warnings come with the next turn of the event loop.
    await new Promise(setImmediate);
    process.off('warning', note);
    assert.deepEqual(warnings, []);
  });

  it('show a change of any entry', async () => {
    const good = readFileSync(file);
    const random = randomNumbers(3);
    const places = contents(good).filter(([start, end]) => end > start);
    assert.ok(places.length > 5);
    for (const [start, end] of places) {
      for (let round = 0; round < 5; round++) {
        const bad = Buffer.from(good);
        // The last bits of a compressed entry may say nothing.
        bad[start + Math.floor(random() * Math.max(1, end - start - 1))] ^= 1 + Math.floor(random() * 255);
        writeFileSync(file, bad);
        await assert.rejects(checkZip(file), REFUSED);
      }
    }
  });

  for (const form of ['plain', 'descriptors', 'wide'] as const)
    it(`show a change of any byte that a reader looks at (${form})`, async () => {
      const good = archive(form, { 'archive/version': '10\n', 'archive/code.py': 'x = 1\n'.repeat(9) });
      const check = async (bytes: Buffer): Promise<boolean> => {
        writeFileSync(file, bytes);
        return checkZip(file).then(
          () => true,
          (error: unknown) => {
            assert.throws(() => {
              throw error;
            }, REFUSED);
            return false;
          },
        );
      };
      assert.ok(await check(good));
      const unseen: number[] = [];
      for (let at = 0; at < good.length; at++) {
        const bad = Buffer.from(good);
        bad[at] ^= 1;
        if (await check(bad)) unseen.push(at);
      }
      // Version of the writer, attributes, and what fills up; of the wide end record versions and disks.
      const harmless = new Set<number>();
      const add = (start: number, ...offsets: number[]): void =>
        offsets.forEach((offset) => harmless.add(start + offset));
      for (let at = good.indexOf('PK\x01\x02'); at >= 0; at = good.indexOf('PK\x01\x02', at + 1))
        add(at, 4, 5, 36, 37, 38, 39, 40, 41);
      for (let at = good.indexOf('FB\x03'); at >= 0; at = good.indexOf('FB\x03', at + 1))
        add(at, 0, 1, 4, 5, 6);
      if (form === 'wide') {
        add(good.indexOf('PK\x06\x06'), 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23);
        add(good.indexOf('PK\x06\x07'), 4, 5, 6, 7, 16, 17, 18, 19);
      }
      assert.deepEqual(
        unseen.filter((at) => !harmless.has(at)),
        [],
      );
      // And nothing lies between, before or behind what the directory names.
      for (const at of [0, good.indexOf('PK\x03\x04', 4), good.indexOf('PK\x01\x02'), good.length])
        assert.ok(!(await check(Buffer.concat([good.subarray(0, at), Buffer.alloc(4), good.subarray(at)]))));
    });

  it('are those of another reading where the records of an entry differ', async () => {
    // The directory names other content than the record before it: its own checksum is right.
    const [one, two] = ['print(1)\n', 'print(2)\n'];
    const good = archive('plain', { a: one, b: two });
    const bad = Buffer.from(good);
    const [first, second] = [good.indexOf('PK\x01\x02'), good.lastIndexOf('PK\x01\x02')];
    for (const [from, to] of [
      [first, second],
      [second, first],
    ])
      for (const [offset, length] of [
        [16, 12],
        [42, 4],
      ])
        good.copy(bad, to + offset, from + offset, from + offset + length);
    writeFileSync(file, bad);
    await assert.rejects(checkZip(file), { ...REFUSED, message: /the two records of [ab] differ/ });
  });

  it('cannot be read of what is cut short, empty, or no archive', async () => {
    const size = readFileSync(file).length;
    for (const left of [size - 1, size - 22, Math.floor(size / 2), 30, 1, 0]) {
      copyFileSync(GRAPH, file);
      truncateSync(file, left);
      await assert.rejects(checkZip(file), REFUSED);
    }
    writeFileSync(file, 'PK, or so it says');
    await assert.rejects(checkZip(file), REFUSED);
  });
});
