/** Masks as pictures: a PNG, and the part of an image that a mask covers. */
import { wrongType, wrongValue } from '../core/errors';
import { checkIntact, checkOptions, optionalBoolean } from '../core/options';
import { RawImage } from '../image/raw-image';
import { mask_area, mask_to_box, rleOf } from './masks';
import { decodeRle } from './rle';
import { checkMask, type CocoRLE, type MaskLike, type RLE } from './types';

function pixelsOf(mask: MaskLike | RLE | CocoRLE): {
  data: ArrayLike<number>;
  width: number;
  height: number;
} {
  const isEncoded = typeof mask === 'object' && mask !== null && 'counts' in mask;
  if (!isEncoded) {
    const { data, size } = checkMask(mask, 'mask');
    return { data, height: size[0], width: size[1] };
  }
  const rle = rleOf(mask, 'mask');
  return { data: decodeRle(rle), height: rle.size[0], width: rle.size[1] };
}

/** The bytes of an image as a PNG file; grey images stay grey. */
export function pngOf(image: RawImage): Promise<Buffer> {
  const encoder = image.toSharp().png();
  // sharp writes grey as RGB unless told.
  return (image.channels <= 2 ? encoder.toColourspace('b-w') : encoder).toBuffer();
}

/**
 * A mask as a PNG file: one grey channel of 8 bits, 255 inside and 0 outside.
 *
 * @param mask a mask (H, W) or an encoding.
 * @returns the file's bytes.
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask.
 */
export async function mask_to_png(mask: MaskLike | RLE | CocoRLE): Promise<Buffer> {
  const { data, width, height } = pixelsOf(mask);
  return pngOf(
    new RawImage(
      Uint8Array.from(data, (inside) => (inside === 0 ? 0 : 255)),
      width,
      height,
      1,
    ),
  );
}

/**
 * The part of an image that a mask covers: four channels, transparent black outside, so that nothing of the rest is left
 * in the file. An image with alpha keeps it inside.
 *
 * @param image the image; stays as it is.
 * @param mask of the image's size: a mask (H, W) or an encoding.
 * @param options what of it is wanted.
 * @param options.crop only the mask's box instead of the whole size; default false.
 * @returns (H, W, 4), or (rows, columns, 4) of the box.
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask; RangeError for a mask of another size, and for an empty
 *   one with `crop`.
 */
export function cut_out(
  image: RawImage,
  mask: MaskLike | RLE | CocoRLE,
  options: { crop?: boolean } = {},
): RawImage {
  if (!(image instanceof RawImage)) throw wrongType('a RawImage', 'image', image);
  const { crop } = checkOptions(options, ['crop'], 'cut_out');
  const isCropped = optionalBoolean(crop, 'crop', false);
  const { data: inside, width, height } = pixelsOf(mask);
  if (width !== image.width || height !== image.height)
    throw wrongValue(`a mask of the image's size (${image.height} x ${image.width})`, 'mask', [
      height,
      width,
    ]);
  if (isCropped && mask_area(mask) === 0) throw wrongValue('a mask that is not empty', 'mask', mask);
  const [left, top, right, bottom] = isCropped ? mask_to_box(mask) : [0, 0, width - 1, height - 1];
  const [columns, rows] = [right - left + 1, bottom - top + 1];
  const data = new Uint8Array(rows * columns * 4);
  const { channels } = image;
  const pixels = checkIntact(image.data, width * height * channels, 'image');
  const isColour = channels >= 3;
  for (let y = top, to = 0; y <= bottom; y++)
    for (let pixel = y * width + left; pixel <= y * width + right; pixel++, to += 4) {
      if (inside[pixel] === 0) continue;
      const from = pixel * channels;
      data[to] = pixels[from];
      data[to + 1] = pixels[isColour ? from + 1 : from];
      data[to + 2] = pixels[isColour ? from + 2 : from];
      data[to + 3] = channels % 2 === 0 ? pixels[from + channels - 1] : 255;
    }
  return new RawImage(data, columns, rows, 4);
}
