/** Colour: how sharp is asked for the pixels of each kind of image, and what makes them those of Pillow's convert('RGB'). */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Metadata, Sharp } from 'sharp';
import { readTag } from './tiff-tags';

/** Pixels of 8 bits, row-major, channels last: (height, width, channels). */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
  /** 1 grey, 3 RGB, 4 RGB and alpha. */
  channels: 1 | 3 | 4;
}

/** What is to be read of an image, and what becomes of it. */
interface Reading {
  /** The space in which sharp gives the pixels; set as the pipeline's too where it would convert otherwise. */
  space: string;
  /** The type of a channel; default 8 bits. */
  depth?: 'ushort' | 'char';
  isCmyk?: boolean;
}

/** TIFF's tags of colour and of compression, and the colours that libvips reads as others or not at all. */
const PHOTOMETRIC = 262;
const COMPRESSION = 259;
const UNREAD: Record<number, string> = { 6: 'YCbCr without JPEG', 8: 'Lab', 9: 'Lab', 10: 'Lab' };
const JPEG_COMPRESSIONS = [6, 7];

// Pixels between two turns of the event loop: about two milliseconds.
const CHUNK = 1 << 18;

/** Why the colours of a TIFF cannot be read, or null; found before libvips opens it. */
export function tiffRefusalOf(bytes: Uint8Array): string | null {
  const isJpeg = JPEG_COMPRESSIONS.includes(readTag(bytes, COMPRESSION) ?? 1);
  const colours = isJpeg ? undefined : UNREAD[readTag(bytes, PHOTOMETRIC) ?? -1];
  return colours === undefined ? null : `is a TIFF in ${colours}, which is not supported: convert it to RGB`;
}

/** Why an image has no RGB that Pillow and we could agree on, or null. */
export function refusalOf({ space, depth, channels }: Metadata): string | null {
  if (['b-w', 'grey16'].includes(space) && !depth.includes('complex')) return null;
  if (['srgb', 'rgb16', 'cmyk'].includes(space) && ['uchar', 'ushort'].includes(depth)) return null;
  return `has ${channels} channels of type ${depth} in the space ${space}, which have no RGB of 8 bits: convert it to RGB`;
}

function readingOf({ space, depth, hasAlpha }: Metadata): Reading {
  if (space === 'cmyk') return { space, isCmyk: true, depth: depth === 'ushort' ? depth : undefined };
  // Pillow clips what is not 8 or 16 unsigned bits, and takes signed bytes for unsigned ones.
  if (depth === 'char') return { space, depth };
  if (depth !== 'uchar' && depth !== 'ushort') return { space };
  // Other grey becomes RGB: sharp's raw grey output has no alpha, and rounds 16 bits otherwise than Pillow.
  return { space: space === 'b-w' && !hasAlpha ? 'b-w' : 'srgb' };
}

/** Pillow's cmyk2rgb of CMYK with further channels, which are left out; libvips would go through a colour profile. */
async function cmykToRgb(
  data: Uint8Array | Uint16Array,
  channels: number,
  pixels: number,
): Promise<Uint8Array> {
  const rgb = new Uint8Array(pixels * 3);
  const shift = data.BYTES_PER_ELEMENT === 2 ? 8 : 0;
  await inPieces(pixels, (pixel) => {
    const from = pixel * channels;
    const white = 255 - (data[from + 3] >> shift);
    for (let channel = 0; channel < 3; channel++) {
      const product = (data[from + channel] >> shift) * white + 128;
      // Rounded division by 255, as Pillow's MULDIV255; never above `white`.
      rgb[pixel * 3 + channel] = white - (((product >> 8) + product) >> 8);
    }
  });
  return rgb;
}

async function firstChannels(data: Uint8Array, channels: number, kept: number): Promise<Uint8Array> {
  if (channels === kept) return data;
  const pixels = data.length / channels;
  const result = new Uint8Array(pixels * kept);
  await inPieces(pixels, (pixel) => {
    for (let channel = 0; channel < kept; channel++)
      result[pixel * kept + channel] = data[pixel * channels + channel];
  });
  return result;
}

async function inPieces(count: number, work: (index: number) => void): Promise<void> {
  for (let start = 0; start < count; start += CHUNK) {
    const end = Math.min(start + CHUNK, count);
    for (let index = start; index < end; index++) work(index);
    if (end < count) await nextTurn();
  }
}

/**
 * Renders an image that `refusalOf` does not refuse.
 *
 * @param image sharp over the encoded bytes.
 * @param metadata what it says of them.
 * @throws what sharp throws.
 */
export async function readPixels(image: Sharp, metadata: Metadata): Promise<Pixels> {
  const { space, depth = 'uchar', isCmyk = false } = readingOf(metadata);
  if (isCmyk) image.pipelineColourspace(space);
  image.toColourspace(space).raw({ depth });
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (isCmyk) {
    const samples =
      depth === 'ushort' ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : data;
    return { data: await cmykToRgb(samples, channels, width * height), width, height, channels: 3 };
  }
  return keepKnown(data, width, height, channels);
}

/** Pixels of any number of channels, without those that are neither colour nor the alpha after it. */
export async function keepKnown(
  data: Uint8Array,
  width: number,
  height: number,
  channels: number,
): Promise<Pixels> {
  const kept = channels < 3 ? 1 : Math.min(channels, 4);
  return {
    data: await firstChannels(data, channels, kept),
    width,
    height,
    channels: kept as Pixels['channels'],
  };
}
