/** Results as files: mask PNGs, an overlay PNG and a JSON, for the command-line tool and the demo. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RawImage } from '../image/raw-image';
import { coco_encode_rle } from '../masks/rle';
import { mask_area, mask_to_box, mask_to_rle } from '../masks/masks';
import { type Box, type CocoRLE, type Mask } from '../masks/types';
import { draw_overlay } from '../masks/overlay';
import type { ObjectPrompt } from './prompts';

/** What was found for one object. */
export interface SegmentedObject {
  prompt: ObjectPrompt;
  /** Whether the object is there at all: a logit. */
  objectScore: number;
  /** (height, width) of the image each, with the model's own estimate of their IoU. */
  masks: { mask: Mask; score: number }[];
}

/** One mask in the JSON. */
export interface MaskRecord {
  /** The model's own estimate of the mask's IoU. */
  iou_score: number;
  /** Pixels inside. */
  area: number;
  /** First and last column and row inside, xyxy in pixels of the image. */
  box: Box;
  /** COCO's compressed run-length encoding. */
  rle: CocoRLE;
  /** The mask PNG next to the JSON, where files were written. */
  file?: string;
}

/** One image in the JSON. All coordinates are pixels of the image. */
export interface ImageRecord {
  /** Path or URL as it was given. */
  image: string;
  height: number;
  width: number;
  /** Directory or id of the model as it was given. */
  model: string;
  objects: {
    input_points: number[][];
    input_labels: number[];
    input_box: Box | null;
    /** Whether the object is there at all: a logit. */
    object_score_logit: number;
    masks: MaskRecord[];
  }[];
}

/** Where an image's results go. */
export interface ResultFiles {
  /** PNGs, white inside and black outside, by object and mask. */
  masks: string[][];
  overlay: string;
  json: string;
}

/**
 * The JSON of one image.
 *
 * @param name path or URL of the image.
 * @param size of the image in pixels.
 * @param model directory or id of the model.
 * @param objects what was found.
 */
export function describeResult(
  name: string,
  size: Pick<RawImage, 'height' | 'width'>,
  model: string,
  objects: readonly SegmentedObject[],
): ImageRecord {
  return {
    image: name,
    height: size.height,
    width: size.width,
    model,
    objects: objects.map(({ prompt, objectScore, masks }) => ({
      input_points: prompt.points,
      input_labels: prompt.labels,
      input_box: prompt.box,
      object_score_logit: objectScore,
      masks: masks.map(({ mask, score }) => describeMask(mask, score)),
    })),
  };
}

function describeMask(mask: Mask, score: number): MaskRecord {
  const rle = mask_to_rle(mask);
  return { iou_score: score, area: mask_area(rle), box: mask_to_box(rle), rle: coco_encode_rle(rle) };
}

function fileNames(name: string, objects: readonly SegmentedObject[]): string[][] {
  return objects.map(({ masks }, object) =>
    masks.map((_, mask) => {
      const ofObject = objects.length > 1 ? `-object-${object + 1}` : '';
      const ofMask = masks.length > 1 ? `-${mask + 1}` : '';
      return `${name}${ofObject}-mask${ofMask}.png`;
    }),
  );
}

async function writeMask(mask: Mask, file: string): Promise<void> {
  const [height, width] = mask.dims;
  await new RawImage(
    mask.data.map((inside) => inside * 255),
    width,
    height,
    1,
  ).save(file);
}

/**
 * Writes `NAME-mask.png` (`NAME-object-2-mask-3.png` where there are several), `NAME-overlay.png` and `NAME.json` into
 * a directory, which is made where it is missing. The overlay shows the best-scored mask of each object.
 *
 * @param directory where the files go.
 * @param name of the files without an extension.
 * @param image the image.
 * @param objects what was found.
 * @param record what describeResult gave; the names of the mask files are put in.
 * @returns the paths written.
 * @throws Sam3TrackerError FILE_INVALID or a system error where a file cannot be written.
 */
export async function writeResult(
  directory: string,
  name: string,
  image: RawImage,
  objects: readonly SegmentedObject[],
  record: ImageRecord,
): Promise<ResultFiles> {
  await mkdir(directory, { recursive: true });
  const names = fileNames(name, objects);
  for (const [object, { masks }] of objects.entries())
    for (const [index, { mask }] of masks.entries()) {
      await writeMask(mask, path.join(directory, names[object][index]));
      record.objects[object].masks[index].file = names[object][index];
    }
  const best = objects.map(({ masks }) => masks.reduce((a, b) => (b.score > a.score ? b : a)).mask);
  const overlay = await draw_overlay(image, best, {
    points: objects.flatMap(({ prompt }) => prompt.points),
    labels: objects.flatMap(({ prompt }) => prompt.labels),
    boxes: objects.flatMap(({ prompt }) => (prompt.box ? [prompt.box] : [])),
  });
  const files = {
    masks: names.map((row) => row.map((file) => path.join(directory, file))),
    overlay: path.join(directory, `${name}-overlay.png`),
    json: path.join(directory, `${name}.json`),
  };
  await overlay.save(files.overlay);
  await writeFile(files.json, `${JSON.stringify(record, null, 2)}\n`);
  return files;
}
