/**
 * Whether a zip archive (which a TorchScript file is) holds what its own checksums say, and nothing beside it: libtorch's
 * reader is built without this check. Everything that says where content lies, how long it is and how it is packed stands
 * in a zip archive twice or thrice; an archive whose records differ can be read in more than one way.
 */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { Sam3TrackerError } from '../core/errors';

const END = 0x06054b50;
const END_BYTES = 22;
const END_64_LOCATOR = 0x07064b50;
const END_64_LOCATOR_BYTES = 20;
const END_64 = 0x06064b50;
const END_64_BYTES = 56;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const LOCAL = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const LONGEST_COMMENT = 0xffff;
/** Stands in a field of 32 bits for a number that has its place in the extra field. */
const WIDE = 0xffffffff;
/** More than any archive of graphs has; a directory that claims more is damaged. */
const LARGEST_DIRECTORY = 2 ** 26;
const STORED = 0;
const DEFLATED = 8;
/** Checksum and sizes follow the content, in a descriptor, as libtorch writes them. */
const HAS_DESCRIPTOR = 0x8;
/** That, how hard the packer tried, and names in UTF-8: no encryption, no patches. */
const KNOWN_FLAGS = HAS_DESCRIPTOR | 0x6 | 0x800;

interface ZipEntry {
  name: string;
  /** Version, flags, method, time and date: the same in the directory and before the content. */
  kind: Buffer;
  rawName: Buffer;
  flags: number;
  method: number;
  crc: number;
  compressedBytes: number;
  bytes: number;
  start: number;
}

interface Directory {
  start: number;
  length: number;
  entries: number;
}

class DamagedArchive extends Error {}

async function read(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = start < 0 ? { bytesRead: 0 } : await handle.read(buffer, 0, length, start);
  if (bytesRead < length) throw new DamagedArchive('it ends too early');
  return buffer;
}

/** Where the central directory is, from the records at the end of the archive, which have to follow it at once. */
async function findDirectory(handle: FileHandle, size: number): Promise<Directory> {
  const tailBytes = Math.min(size, END_BYTES + LONGEST_COMMENT);
  const tail = await read(handle, size - tailBytes, tailBytes);
  let at = tail.length - END_BYTES;
  while (at >= 0 && tail.readUInt32LE(at) !== END) at--;
  if (at < 0) throw new DamagedArchive('it is no zip archive');
  const damaged = new DamagedArchive('its end record is damaged');
  const disks = tail.readUInt32LE(at + 4);
  if (disks !== 0 || at + END_BYTES + tail.readUInt16LE(at + 20) !== tail.length) throw damaged;
  const short = {
    start: tail.readUInt32LE(at + 16),
    length: tail.readUInt32LE(at + 12),
    entries: tail.readUInt16LE(at + 10),
  };
  if (tail.readUInt16LE(at + 8) !== short.entries) throw damaged;
  const locator = at - END_64_LOCATOR_BYTES;
  if (locator < 0 || tail.readUInt32LE(locator) !== END_64_LOCATOR) {
    if (short.start + short.length !== size - tail.length + at) throw damaged;
    return short;
  }
  const recordStart = Number(tail.readBigUInt64LE(locator + 8));
  if (recordStart + END_64_BYTES !== size - tail.length + locator) throw damaged;
  const record = await read(handle, recordStart, END_64_BYTES);
  const number = (offset: number): number => Number(record.readBigUInt64LE(offset));
  const wide = { start: number(48), length: number(40), entries: number(32) };
  const agrees = (field: keyof Directory, unknown: number): boolean =>
    short[field] === unknown || short[field] === wide[field];
  if (
    record.readUInt32LE(0) !== END_64 ||
    number(4) !== END_64_BYTES - 12 ||
    number(24) !== wide.entries ||
    wide.start + wide.length !== recordStart ||
    !(agrees('start', WIDE) && agrees('length', WIDE) && agrees('entries', 0xffff))
  )
    throw damaged;
  return wide;
}

/** Fields of an extra field by their ids; they have to fill it. */
function readExtra(extra: Buffer, name: string): Map<number, Buffer> {
  const fields = new Map<number, Buffer>();
  for (let at = 0; at < extra.length;) {
    const next = at + 4 <= extra.length ? at + 4 + extra.readUInt16LE(at + 2) : Infinity;
    if (next > extra.length) throw new DamagedArchive(`the record of ${name} is damaged`);
    fields.set(extra.readUInt16LE(at), extra.subarray(at + 4, next));
    at = next;
  }
  return fields;
}

/** Sizes and position of an entry that does not fit 32 bits: from its extra field. */
function readWide(entry: ZipEntry, extra: Buffer): void {
  const wide = readExtra(extra, entry.name).get(1);
  let at = 0;
  for (const name of ['bytes', 'compressedBytes', 'start'] as const) {
    if (entry[name] !== WIDE) continue;
    if (wide === undefined || at + 8 > wide.length)
      throw new DamagedArchive(`the record of ${entry.name} is damaged`);
    entry[name] = Number(wide.readBigUInt64LE(at));
    at += 8;
  }
}

function readEntries(directory: Buffer): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let at = 0; at < directory.length;) {
    if (at + ENTRY_BYTES > directory.length || directory.readUInt32LE(at) !== ENTRY)
      throw new DamagedArchive('its directory is damaged');
    const [nameBytes, extraBytes, commentBytes, disk] = [28, 30, 32, 34].map((offset) =>
      directory.readUInt16LE(at + offset),
    );
    const extra = at + ENTRY_BYTES + nameBytes;
    const next = extra + extraBytes + commentBytes;
    if (next > directory.length || disk !== 0) throw new DamagedArchive('its directory is damaged');
    const rawName = directory.subarray(at + ENTRY_BYTES, extra);
    const entry = {
      name: rawName.toString('utf8'),
      kind: directory.subarray(at + 6, at + 16),
      rawName,
      flags: directory.readUInt16LE(at + 8),
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

/** Where an entry's content begins, once the record before it is that of the directory. */
async function checkLocal(handle: FileHandle, entry: ZipEntry): Promise<number> {
  const { name, start, rawName, flags } = entry;
  const fixed = await read(handle, start, LOCAL_BYTES);
  if (fixed.readUInt32LE(0) !== LOCAL) throw new DamagedArchive(`${name} is not where its directory says`);
  const differs = new DamagedArchive(`the two records of ${name} differ`);
  const nameBytes = fixed.readUInt16LE(26);
  const extraBytes = fixed.readUInt16LE(28);
  if (nameBytes !== rawName.length || !fixed.subarray(4, 14).equals(entry.kind)) throw differs;
  const rest = await read(handle, start + LOCAL_BYTES, nameBytes + extraBytes);
  if (!rest.subarray(0, nameBytes).equals(rawName)) throw differs;
  const wide = readExtra(rest.subarray(nameBytes), name).get(1);
  const size = (offset: number, inExtra: number): number => {
    const short = fixed.readUInt32LE(offset);
    return short === WIDE && wide?.length === 16 ? Number(wide.readBigUInt64LE(inExtra)) : short;
  };
  const values = [
    [fixed.readUInt32LE(14), entry.crc],
    [size(18, 8), entry.compressedBytes],
    [size(22, 0), entry.bytes],
  ];
  for (const [found, value] of values) {
    const isBehind = (flags & HAS_DESCRIPTOR) !== 0 && found === 0;
    if (found !== value && !isBehind) throw differs;
  }
  return start + LOCAL_BYTES + nameBytes + extraBytes;
}

/** Holds what lies between an entry's content and the next entry against what has to lie there: its descriptor, or nothing. */
async function checkBehind(handle: FileHandle, entry: ZipEntry, end: number, next: number): Promise<void> {
  const { name, flags, crc, compressedBytes, bytes } = entry;
  if ((flags & HAS_DESCRIPTOR) === 0) {
    if (end !== next) throw new DamagedArchive(`there is something between ${name} and the next entry`);
    return;
  }
  const expected = Buffer.alloc(next - end === 24 ? 24 : 16);
  expected.writeUInt32LE(DESCRIPTOR);
  expected.writeUInt32LE(crc, 4);
  if (expected.length === 24) {
    expected.writeBigUInt64LE(BigInt(compressedBytes), 8);
    expected.writeBigUInt64LE(BigInt(bytes), 16);
  } else {
    expected.writeUInt32LE(compressedBytes % 2 ** 32, 8);
    expected.writeUInt32LE(bytes % 2 ** 32, 12);
  }
  if (next - end !== expected.length || !(await read(handle, end, expected.length)).equals(expected))
    throw new DamagedArchive(`what follows ${name} is not its descriptor`);
}

async function checkContent(file: string, entry: ZipEntry, begin: number): Promise<void> {
  const { name, method, compressedBytes, bytes } = entry;
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

/** Checks the entries, which have to fill the archive from its start to its directory, in this order. */
async function checkEntries(
  file: string,
  handle: FileHandle,
  entries: readonly ZipEntry[],
  directory: Directory,
): Promise<void> {
  if (entries.length !== directory.entries) throw new DamagedArchive('its directory is damaged');
  if (new Set(entries.map(({ name }) => name)).size !== entries.length)
    throw new DamagedArchive('an entry is there twice');
  if ((entries[0]?.start ?? directory.start) !== 0)
    throw new DamagedArchive('there is something before its first entry');
  for (const [index, entry] of entries.entries()) {
    const { name, flags, method, compressedBytes } = entry;
    if ((method !== STORED && method !== DEFLATED) || (flags & ~KNOWN_FLAGS) !== 0)
      throw new DamagedArchive(`${name} is compressed in an unknown way`);
    const begin = await checkLocal(handle, entry);
    const next = entries[index + 1]?.start ?? directory.start;
    const end = begin + compressedBytes;
    if (end > next) throw new DamagedArchive(`${name} ends behind the archive, or in another entry`);
    await checkBehind(handle, entry, end, next);
    await checkContent(file, entry, begin);
  }
}

/**
 * Reads every entry of a zip archive and compares it with its checksum, and the archive's records with each other.
 *
 * @throws Sam3TrackerError FILE_INVALID for a file that is no zip archive, and for one that was altered or cut short.
 */
export async function checkZip(file: string): Promise<void> {
  const { size } = await stat(file);
  const handle = await open(file);
  try {
    const directory = await findDirectory(handle, size);
    if (directory.length > LARGEST_DIRECTORY) throw new DamagedArchive('its directory is damaged');
    const entries = readEntries(await read(handle, directory.start, directory.length));
    entries.sort((a, b) => a.start - b.start);
    await checkEntries(file, handle, entries, directory);
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
