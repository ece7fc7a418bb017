/**
 * The header of a safetensors file: JSON of one fixed form, read strictly, since the file may come from anywhere. Native
 * code maps the file and checks what is read here against it.
 */
import { isUtf8 } from 'node:buffer';
import type { FileHandle } from 'node:fs/promises';
import { DTYPES } from '../core/dtype';
import type { DType } from '../core/dtype';
import { Sam3TrackerError } from '../core/errors';
import { openFile, reading, refuseLfsPointer } from '../core/files';
import { isPlainObject } from '../core/options';
import { isError } from '../core/kinds';

/** The format's own limit, in bytes. */
const LONGEST_HEADER = 100_000_000;
/** Where the header begins: its length comes first. */
const HEADER_START = 8;
/** Far above any checkpoint's: a header of more would keep the event loop for seconds. */
export const MOST_WEIGHTS = 100_000;
/** Of objects and lists in each other. */
const DEEPEST = 3;

const DTYPE_OF: Readonly<Record<string, DType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F64: 'float64',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

/** One weight of a safetensors file. */
export interface SafetensorsEntry {
  /** As the file has it. */
  name: string;
  /** The tracker's plain module name for it; null for a weight of another part of a SAM3 checkpoint. */
  trackerName: string | null;
  /** A DType, or the file's own name of one that is not ours. */
  dtype: string;
  shape: number[];
  /** Bytes from the start of the file. */
  begin: number;
  /** The byte behind the last one. */
  end: number;
}

/** What the header of a safetensors file says. */
export interface SafetensorsFile {
  path: string;
  /** Bytes of the file. */
  size: number;
  /** In the order of their data. */
  entries: SafetensorsEntry[];
}

class InvalidHeader extends Error {}

function failOn(weight: string, what: string): never {
  const shown = weight.length > 200 ? `${weight.slice(0, 200)}...` : weight;
  throw new InvalidHeader(`weight ${JSON.stringify(shown)}: ${what}`);
}

/** transformers' `Sam3TrackerModel._keys_to_ignore_on_load_unexpected`, and the rest of the detector with its own neck. */
const FOREIGN =
  /^(?:detector_model\.|memory_|mask_downsample|object_pointer_proj|temporal_positional_encoding_projection_layer|no_memory_positional_encoding|no_object_pointer|occlusion_spatial_embedding_parameter)/;

/**
 * The plain module name of a weight in any of its three spellings (plain, the hub's sam3_video form, transformers'
 * `save_pretrained`); null where it belongs to another part of a SAM3 checkpoint. Mirrors transformers' conversion mapping.
 */
export function trackerWeightName(name: string): string | null {
  const plain = name
    .replace('detector_model.vision_encoder.backbone.', 'vision_encoder.backbone.')
    .replace('tracker_neck.', 'vision_encoder.neck.')
    .replace(/^tracker_model\./, '');
  return FOREIGN.test(plain) ? null : plain;
}

/** The position behind the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let first = quote;
    while (text[first - 1] === '\\') first--;
    if ((quote - first) % 2 === 0) return quote + 1;
  }
  throw new InvalidHeader('a string without an end');
}

/**
 * Refuses what `JSON.parse` lets pass and the format does not: keys that stand twice, numbers that are not written as
 * integers, halves of surrogate pairs, deep nesting.
 */
function checkTokens(text: string): void {
  const weights = new Set<string>();
  const fields = new Set<string>();
  let depth = 0;
  let weight = '';
  let last = '';
  const addKey = (): void => {
    const keys = depth === 1 ? weights : fields;
    if (depth === 1) weight = last;
    if (keys.has(last)) failOn(weight, `${keys === weights ? 'it' : `the field ${last}`} stands twice`);
    keys.add(last);
    if (keys.size > MOST_WEIGHTS) throw new InvalidHeader(`its header has more than ${MOST_WEIGHTS} weights`);
  };
  for (let at = 0; ;) {
    const quote = text.indexOf('"', at);
    for (const stop = quote < 0 ? text.length : quote; at < stop; at++) {
      const token = text[at];
      if (' \n\r\t,0123456789'.includes(token)) continue;
      if (token === ':') addKey();
      else if (token === '}' || token === ']') depth--;
      else if (token !== '{' && token !== '[')
        throw new InvalidHeader(`expected a string or integers for "${last}" but found "${token}"`);
      else if (++depth > DEEPEST) throw new InvalidHeader(`"${last}" is nested too deeply`);
      else if (depth === 2) fields.clear();
    }
    if (quote < 0) return;
    at = stringEnd(text, quote);
    last = text.slice(quote + 1, at - 1);
    if (!last.includes('\\')) continue;
    last = JSON.parse(`"${last}"`) as string;
    if (/\p{Surrogate}/u.test(last)) throw new InvalidHeader('half a surrogate pair in a string');
  }
}

function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new InvalidHeader('its header is not UTF-8');
  // A byte order mark stays, and is not JSON.
  const text = bytes.toString('utf8');
  try {
    checkTokens(text);
    return JSON.parse(text);
  } catch (cause) {
    if (!isError(cause) || cause.name !== 'SyntaxError') throw cause;
    throw new InvalidHeader(`its header is not JSON: ${cause.message}`);
  }
}

const areIntegers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);

function readEntry(name: string, value: unknown, dataStart: number, dataBytes: number): SafetensorsEntry {
  const fail = (what: string): never => failOn(name, what);
  const { dtype, shape, data_offsets: offsets, ...rest } = isPlainObject(value) ? value : {};
  for (const field of Object.keys(rest)) fail(`an unknown field ${JSON.stringify(field)}`);
  if (typeof dtype !== 'string' || shape === undefined || offsets === undefined)
    return fail('dtype, shape and data_offsets are all needed');
  if (!areIntegers(shape)) return fail('shape must be integers of less than 2^53');
  if (!areIntegers(offsets) || offsets.length !== 2)
    return fail('data_offsets must be two numbers, integers of less than 2^53');
  const [begin, end] = offsets;
  const known = Object.hasOwn(DTYPE_OF, dtype) ? DTYPE_OF[dtype] : null;
  let bytes = known === null ? 1 : DTYPES[known].bytes;
  // Strides overflow with the other dimensions where one is 0.
  let stride = bytes;
  for (const size of shape) {
    bytes *= size;
    stride *= Math.max(size, 1);
    if (stride > Number.MAX_SAFE_INTEGER) fail('its shape overflows');
  }
  if (begin > end || end > dataBytes)
    fail(`data_offsets [${begin}, ${end}] lie outside the file's ${dataBytes} bytes of data`);
  // Of another dtype, which another part of a checkpoint may have, the size of an element is not known.
  if (known !== null && end - begin !== bytes)
    fail(`data_offsets hold ${end - begin} bytes, its shape needs ${bytes}`);
  return {
    name,
    trackerName: trackerWeightName(name),
    dtype: known ?? dtype,
    shape,
    begin: dataStart + begin,
    end: dataStart + end,
  };
}

function parseHeader(bytes: Buffer, size: number): SafetensorsEntry[] {
  const header = parseJson(bytes);
  if (!isPlainObject(header)) throw new InvalidHeader('its header is not a JSON object');
  const dataStart = HEADER_START + bytes.length;
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') entries.push(readEntry(name, value, dataStart, size - dataStart));
    else if (!isPlainObject(value) || Object.values(value).some((text) => typeof text !== 'string'))
      throw new InvalidHeader('__metadata__ must be an object of strings');
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let next = dataStart;
  for (const { name, begin, end } of entries) {
    if (begin !== next) failOn(name, "its data overlaps another weight's or leaves a gap");
    next = end;
  }
  if (next !== size)
    throw new InvalidHeader(
      `the weights end at byte ${next - dataStart} of ${size - dataStart} bytes of data`,
    );
  return entries;
}

async function readBytes(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, start);
  if (bytesRead < length) throw new InvalidHeader('it was shortened while it was read');
  return buffer;
}

async function readHeader(handle: FileHandle, path: string): Promise<SafetensorsFile> {
  const status = await handle.stat();
  if (!status.isFile())
    throw new Sam3TrackerError('FILE_INVALID', `Weights ${path} cannot be opened: it is not a file.`);
  const { size } = status;
  if (size < HEADER_START) throw new InvalidHeader(`it has only ${size} bytes`);
  const start = await readBytes(handle, 0, Math.min(size, 64));
  refuseLfsPointer(start, path);
  const length = start.readBigUInt64LE();
  if (length > LONGEST_HEADER || length > size - HEADER_START)
    throw new InvalidHeader(`its header claims ${length} bytes of a file of ${size}`);
  return { path, size, entries: parseHeader(await readBytes(handle, HEADER_START, Number(length)), size) };
}

/**
 * Reads the header of a safetensors file: names are unique, and the ranges of the weights, each as long as its shape and
 * dtype say, fill the data without gap or overlap. The weights are not read.
 *
 * @param path of the file.
 * @throws Sam3TrackerError FILE_NOT_FOUND, FILE_NOT_READ, or FILE_INVALID with what is wrong.
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openFile(path);
  try {
    return await reading(path, readHeader(handle, path));
  } catch (cause) {
    if (!(cause instanceof InvalidHeader)) throw cause;
    throw new Sam3TrackerError('FILE_INVALID', `${path} is not a valid safetensors file: ${cause.message}.`, {
      cause,
    });
  } finally {
    await handle.close();
  }
}

/** One weight to write. */
export interface SafetensorsContent {
  name: string;
  dtype: DType;
  shape: readonly number[];
  /** Elements in row-major order. */
  bytes: Uint8Array;
}

/** The parts of a safetensors file of these weights, in their order. */
export function safetensorsParts(weights: readonly SafetensorsContent[]): Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of weights) {
    const [formatName] = Object.entries(DTYPE_OF).find(([, own]) => own === dtype)!;
    header[name] = { dtype: formatName, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  // The format's own writer fills up with spaces, so that elements are aligned.
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(text.length + ((8 - (Buffer.byteLength(text) % 8)) % 8)));
  const length = Buffer.alloc(HEADER_START);
  length.writeBigUInt64LE(BigInt(json.length));
  return [length, json, ...weights.map(({ bytes }) => bytes)];
}

/**
 * The elements of weights of a file whose header has been read.
 *
 * @throws Sam3TrackerError FILE_INVALID where the file was shortened since.
 */
export async function readWeightBytes(
  { path }: SafetensorsFile,
  entries: readonly SafetensorsEntry[],
): Promise<Buffer[]> {
  const handle = await openFile(path);
  try {
    const found: Buffer[] = [];
    for (const { begin, end } of entries) found.push(await readBytes(handle, begin, end - begin));
    return found;
  } catch (cause) {
    if (!(cause instanceof InvalidHeader)) throw cause;
    throw new Sam3TrackerError('FILE_INVALID', `${path} cannot be read: ${cause.message}.`, { cause });
  } finally {
    await handle.close();
  }
}
