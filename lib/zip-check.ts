/**
 * Whether a zip archive (which a TorchScript file is) holds what its own checksums say: libtorch's reader is built
 * without this check.
 */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { Sam3TrackerError } from './errors';

const END = 0x06054b50;
const END_BYTES = 22;
const END_64_LOCATOR = 0x07064b50;
const END_64 = 0x06064b50;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const LOCAL = 0x04034b50;
const LONGEST_COMMENT = 0xffff;
/** More than any archive of graphs has; a directory that claims more is damaged. */
const LARGEST_DIRECTORY = 2 ** 26;
const STORED = 0;
const DEFLATED = 8;

interface ZipEntry {
  name: string;
  method: number;
  crc: number;
  compressedBytes: number;
  bytes: number;
  start: number;
}

class DamagedArchive extends Error {}

async function read(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = start < 0 ? { bytesRead: 0 } : await handle.read(buffer, 0, length, start);
  if (bytesRead < length) throw new DamagedArchive('it ends too early');
  return buffer;
}

/** Where the central directory is and how long, from the records at the end of the archive. */
async function findDirectory(handle: FileHandle, size: number): Promise<[start: number, length: number]> {
  const tailBytes = Math.min(size, END_BYTES + LONGEST_COMMENT);
  const tail = await read(handle, size - tailBytes, tailBytes);
  let at = tail.length - END_BYTES;
  while (at >= 0 && tail.readUInt32LE(at) !== END) at--;
  if (at < 0) throw new DamagedArchive('it is no zip archive');
  const locator = at - 20;
  if (locator >= 0 && tail.readUInt32LE(locator) === END_64_LOCATOR) {
    const record = await read(handle, Number(tail.readBigUInt64LE(locator + 8)), 56);
    if (record.readUInt32LE(0) !== END_64) throw new DamagedArchive('its end record is damaged');
    return [Number(record.readBigUInt64LE(48)), Number(record.readBigUInt64LE(40))];
  }
  return [tail.readUInt32LE(at + 16), tail.readUInt32LE(at + 12)];
}

/** Sizes and position of an entry that does not fit 32 bits: from its extra field. */
function readWide(entry: ZipEntry, extra: Buffer): void {
  for (let at = 0; at + 4 <= extra.length;) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) {
      let field = at + 4;
      for (const name of ['bytes', 'compressedBytes', 'start'] as const) {
        if (entry[name] !== 0xffffffff) continue;
        if (field + 8 > Math.min(extra.length, at + 4 + length))
          throw new DamagedArchive('an entry is damaged');
        entry[name] = Number(extra.readBigUInt64LE(field));
        field += 8;
      }
    }
    at += 4 + length;
  }
}

function readEntries(directory: Buffer): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let at = 0; at < directory.length;) {
    if (at + ENTRY_BYTES > directory.length || directory.readUInt32LE(at) !== ENTRY)
      throw new DamagedArchive('its directory is damaged');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) =>
      directory.readUInt16LE(at + offset),
    );
    const extra = at + ENTRY_BYTES + nameBytes;
    const next = extra + extraBytes + commentBytes;
    if (next > directory.length) throw new DamagedArchive('its directory is damaged');
    const entry = {
      name: directory.toString('utf8', at + ENTRY_BYTES, extra),
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      compressedBytes: directory.readUInt32LE(at + 20),
      bytes: directory.readUInt32LE(at + 24),
      start: directory.readUInt32LE(at + 42),
    };
    readWide(entry, directory.subarray(extra, extra + extraBytes));
    entries.push(entry);
    at = next;
  }
  return entries;
}

async function checkEntry(file: string, handle: FileHandle, entry: ZipEntry, size: number): Promise<void> {
  const { name, method, compressedBytes, bytes, start } = entry;
  const local = await read(handle, start, LOCAL_BYTES);
  if (local.readUInt32LE(0) !== LOCAL) throw new DamagedArchive(`${name} is not where its directory says`);
  const begin = start + LOCAL_BYTES + local.readUInt16LE(26) + local.readUInt16LE(28);
  if (begin + compressedBytes > size) throw new DamagedArchive(`${name} ends behind the archive`);
  if (method !== STORED && method !== DEFLATED)
    throw new DamagedArchive(`${name} is compressed in an unknown way`);
  let crc = 0;
  let found = 0;
  const check = async (pieces: AsyncIterable<Buffer>): Promise<void> => {
    for await (const piece of pieces) {
      found += piece.length;
      if (found > bytes) throw new DamagedArchive(`${name} is longer than its directory says`);
      crc = crc32(piece, crc);
    }
  };
  if (compressedBytes > 0) {
    const stream = createReadStream(file, { start: begin, end: begin + compressedBytes - 1 });
    if (method === STORED) await pipeline(stream, check);
    else await pipeline(stream, createInflateRaw(), check);
  }
  if (found !== bytes || crc !== entry.crc) throw new DamagedArchive(`${name} does not have its checksum`);
}

/**
 * Reads every entry of a zip archive and compares it with its checksum.
 *
 * @throws Sam3TrackerError FILE_INVALID for a file that is no zip archive, and for one that was altered or cut short.
 */
export async function checkZip(file: string): Promise<void> {
  const { size } = await stat(file);
  const handle = await open(file);
  try {
    const [start, length] = await findDirectory(handle, size);
    if (length > LARGEST_DIRECTORY || start + length > size)
      throw new DamagedArchive('its directory is damaged');
    const entries = readEntries(await read(handle, start, length));
    if (new Set(entries.map(({ name }) => name)).size !== entries.length)
      throw new DamagedArchive('an entry is there twice');
    for (const entry of entries) await checkEntry(file, handle, entry, size);
  } catch (cause) {
    const isZlib = String((cause as NodeJS.ErrnoException).code).startsWith('Z_');
    if (!(cause instanceof DamagedArchive) && !isZlib) throw cause;
    throw new Sam3TrackerError(
      'FILE_INVALID',
      `${file} is not a readable TorchScript file: ${(cause as Error).message}. Copy or export it again.`,
      { cause },
    );
  } finally {
    await handle.close();
  }
}
