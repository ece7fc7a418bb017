/** A zip archive's own checksums: right ones of every kind are taken, any altered byte of content is found. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkZip } from '../lib/zip-check';
import { BUNDLED_MODEL } from './support/bundled-model';
import { randomNumbers } from './support/random';

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
