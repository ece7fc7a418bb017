/** Results as files: mask PNGs, an overlay PNG and a JSON, for the command-line tool and the demo. */
import path from 'node:path';
import { saveFiles } from '../core/files';
import type { RawImage } from '../image/raw-image';
import { coco_encode_rle } from '../masks/rle';
import { mask_area, mask_to_box, mask_to_rle } from '../masks/masks';
import { type Box, type CocoRLE, type Mask } from '../masks/types';
import { draw_overlay } from '../masks/overlay';
import { mask_to_png, pngOf } from '../masks/pictures';
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

/** One image in the JSON that failed. */
export interface FailedRecord {
  /** Path or URL as it was given. */
  image: string;
  /** The package's code, or the class of an error that has none; and its message. */
  error: { code: string; message: string };
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

/**
 * The files of an image: `NAME-mask.png` (`NAME-object-2-mask-3.png` where there are several), `NAME-overlay.png` and
 * `NAME.json`.
 *
 * @param name of the image without an extension.
 * @param masks how many each object has.
 */
export function resultNames(name: string, masks: readonly number[]): ResultFiles {
  return {
    masks: masks.map((count, object) =>
      Array.from({ length: count }, (_, mask) => {
        const ofObject = masks.length > 1 ? `-object-${object + 1}` : '';
        return `${name}${ofObject}-mask${count > 1 ? `-${mask + 1}` : ''}.png`;
      }),
    ),
    overlay: `${name}-overlay.png`,
    json: `${name}.json`,
  };
}

/**
 * Writes the files that `resultNames` lists, all of them or none, into a directory, which is made where it is missing. The
 * overlay shows the best-scored mask of each object.
 *
 * @param directory where the files go.
 * @param name of the files without an extension.
 * @param image the image.
 * @param objects what was found.
 * @param record what describeResult gave; the names of the mask files are put in.
 * @returns the paths written.
 * @throws as `saveFiles`.
 */
export async function writeResult(
  directory: string,
  name: string,
  image: RawImage,
  objects: readonly SegmentedObject[],
  record: ImageRecord,
): Promise<ResultFiles> {
  const names = resultNames(
    name,
    objects.map(({ masks }) => masks.length),
  );
  const files: { name: string; content: Buffer | string }[] = [];
  for (const [object, { masks }] of objects.entries())
    for (const [index, { mask }] of masks.entries()) {
      const file = names.masks[object][index];
      files.push({ name: file, content: await mask_to_png(mask) });
      record.objects[object].masks[index].file = file;
    }
  const best = objects.map(({ masks }) => masks.reduce((a, b) => (b.score > a.score ? b : a)).mask);
  const overlay = await draw_overlay(image, best, {
    points: objects.flatMap(({ prompt }) => prompt.points),
    labels: objects.flatMap(({ prompt }) => prompt.labels),
    boxes: objects.flatMap(({ prompt }) => (prompt.box ? [prompt.box] : [])),
  });
  files.push({ name: names.overlay, content: await pngOf(overlay) });
  files.push({ name: names.json, content: `${JSON.stringify(record, null, 2)}\n` });
  await saveFiles(directory, files);
  const placed = (file: string): string => path.join(directory, file);
  return {
    masks: names.masks.map((row) => row.map(placed)),
    overlay: placed(names.overlay),
    json: placed(names.json),
  };
}
