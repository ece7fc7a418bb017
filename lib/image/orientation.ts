/**
 * Which way up an image is, found where Pillow finds it: in EXIF and XMP, in PNG's text chunks, and in the transforms of an
 * AVIF. sharp's own autoOrient knows EXIF only.
 */
import { inflateSync } from 'node:zlib';
import type { Metadata, Sharp } from 'sharp';
import { readTag, withTag } from './tiff-tags';

/** Orientation 1 to 8 as EXIF numbers them; any other number turns nothing. */
export interface Orientation {
  /** What turns sharp's pixels upright, as `ImageOps.exif_transpose` does. */
  upright: number;
  /** What makes them those of `Image.open`. */
  opened: number;
}

const ORIENTATION = 0x0112;
// Text of PNG that is unpacked, as in Pillow.
const MAX_TEXT = 1 << 20;

/** What sharp is to do for each orientation; it mirrors before it rotates. */
const TURNS: Record<number, (image: Sharp) => Sharp> = {
  2: (image) => image.flop(),
  3: (image) => image.rotate(180),
  4: (image) => image.flip(),
  5: (image) => image.rotate(270).flop(),
  6: (image) => image.rotate(90),
  7: (image) => image.rotate(90).flop(),
  8: (image) => image.rotate(270),
};

/** Adds the turn of an orientation to a pipeline. */
export function turn(image: Sharp, orientation: number): Sharp {
  return TURNS[orientation]?.(image) ?? image;
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

function inExif(exif: Uint8Array | undefined): number | null {
  if (!exif) return null;
  const [prefix] = /^(?:Exif\0\0){0,2}/.exec(latin1(exif.subarray(0, 12)))!;
  return readTag(exif.subarray(prefix.length), ORIENTATION);
}

function inXmp(xmp: string | undefined): number | null {
  const found = /tiff:Orientation(?:="|>)([0-9])/.exec(xmp ?? '');
  return found && Number(found[1]);
}

/** The chunks of a PNG that can hold an orientation, the last of each kind. */
function readPng(bytes: Uint8Array): { exif?: Uint8Array; profile?: string; xmp?: string } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const last = new Map<string, { type: string; data: Uint8Array }>();
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = latin1(bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (type === 'eXIf') last.set('exif', { type, data });
    else if (/^(?:tEXt|zTXt|iTXt)$/.test(type)) {
      const end = data.subarray(0, 80).indexOf(0);
      last.set(latin1(data.subarray(0, Math.max(end, 0))), { type, data: data.subarray(end + 1) });
    }
    at += 12 + length;
  }
  const text = (keyword: string): string | undefined => {
    const chunk = last.get(keyword);
    return chunk && textOf(chunk.type, chunk.data);
  };
  const exif = last.get('exif');
  return {
    exif: exif && (/^(?:eXIf|tEXt)$/.test(exif.type) ? exif.data : undefined),
    profile: text('Raw profile type exif'),
    xmp: text('XML:com.adobe.xmp'),
  };
}

/** The text of a chunk behind its keyword; '' for one that is damaged. */
function textOf(type: string, data: Uint8Array): string {
  const inflate = (packed: Uint8Array): string => {
    try {
      return latin1(inflateSync(packed, { maxOutputLength: MAX_TEXT }));
    } catch {
      return '';
    }
  };
  if (type === 'tEXt') return latin1(data);
  if (type === 'zTXt') return inflate(data.subarray(1));
  // Compressed or not, the method, a language and a translated keyword, each ended by a 0.
  const translated = data.indexOf(0, 2) + 1;
  const text = data.subarray(data.indexOf(0, translated) + 1);
  return data[0] === 0 ? latin1(text) : inflate(text);
}

/** EXIF in hex, behind three lines of its name and length. */
function readProfile(profile: string | undefined): Uint8Array | undefined {
  return profile === undefined ? undefined : Buffer.from(profile.split('\n').slice(3).join(''), 'hex');
}

/** The content of a box of an ISO file, found by the path of its types; `meta` has four bytes before its own boxes. */
function findBox(bytes: Uint8Array, [type, ...inner]: readonly string[]): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 8 <= bytes.length;) {
    const size = view.getUint32(at) || bytes.length - at;
    if (size < 8) return null;
    if (latin1(bytes.subarray(at + 4, at + 8)) === type) {
      const content = bytes.subarray(at + (type === 'meta' ? 12 : 8), at + size);
      return inner.length === 0 ? content : findBox(content, inner);
    }
    at += size;
  }
  return null;
}

/** The orientation that the rotation and the mirror of an AVIF amount to; 1 without them. libheif applies them. */
function transformOf(bytes: Uint8Array): number {
  const property = (type: string): number | undefined => findBox(bytes, ['meta', 'iprp', 'ipco', type])?.[0];
  const angle = (property('irot') ?? 0) & 3;
  const axis = property('imir');
  // Quarter turns to the left, then the mirror: none, top and bottom, left and right.
  const rows = [
    [1, 4, 2],
    [8, 5, 7],
    [3, 2, 4],
    [6, 7, 5],
  ];
  return rows[angle][axis === undefined ? 0 : 1 + (axis & 1)];
}

/** A TIFF without an orientation that does not exist: libtiff gives up on it, where Pillow leaves the image as it lies. */
export function withKnownOrientation(bytes: Uint8Array): Uint8Array {
  const found = readTag(bytes, ORIENTATION);
  return found === null || (found >= 1 && found <= 8) ? bytes : withTag(bytes, ORIENTATION, 1);
}

/**
 * The orientation of an image.
 *
 * @param bytes of the file.
 * @param format its name.
 * @param metadata what sharp says of it.
 */
export function orientationOf(bytes: Uint8Array, format: string, metadata: Metadata): Orientation {
  const xmp = metadata.xmp && latin1(metadata.xmp);
  switch (format) {
    case 'PNG': {
      const { exif, profile, xmp: text } = readPng(bytes);
      return { upright: inExif(exif ?? readProfile(profile)) ?? inXmp(text) ?? 1, opened: 1 };
    }
    case 'TIFF': {
      // Pillow turns a TIFF when it loads it.
      const found = readTag(bytes, ORIENTATION) ?? inXmp(xmp) ?? 1;
      return { upright: found, opened: found };
    }
    case 'AVIF': {
      const transform = transformOf(bytes);
      // Where EXIF says something, Pillow overrules it by the transform.
      const further = transform === 1 && inExif(metadata.exif) === null ? inXmp(xmp) : null;
      const inverse: Record<number, number> = { 6: 8, 8: 6 };
      return { upright: further ?? 1, opened: inverse[transform] ?? transform };
    }
    default:
      return { upright: inExif(metadata.exif) ?? inXmp(xmp) ?? 1, opened: 1 };
  }
}
