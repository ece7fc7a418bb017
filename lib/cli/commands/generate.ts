/** `sam3-tracker generate`: pictures to a COCO annotation file and pictures of their masks. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { draw_overlay, type Color } from '../../masks/overlay';
import { write_coco_annotations } from '../../pipelines/coco-annotations';
import type { MaskGenerationOptions } from '../../pipelines/mask-generation-options';
import { pipeline } from '../../pipelines/pipeline';
import type { DeviceOption, DTypeOption } from '../../core/types';
import { Interruption } from '../interruption';
import type { Output } from '../output';
import { resultName } from '../usage';

/** The options of the command line, as commander gives them; undefined leaves it to the model and the pipeline. */
export interface GenerateCommandOptions {
  out: string;
  model?: string;
  device: DeviceOption;
  dtype: DTypeOption;
  format: 'coco_rle' | 'polygons';
  pointsPerCrop?: number;
  pointsPerBatch?: number;
  cropsNLayers?: number;
  predIouThresh?: number;
  stabilityScoreThresh?: number;
  maskThreshold?: number;
  cropsNmsThresh?: number;
  maxHoleArea?: number;
  maxSprinkleArea?: number;
  minMaskRegionArea?: number;
  reference?: 'transformers';
  quiet: boolean;
  debug: boolean;
}

const DEFAULT_MODEL = 'sam3-tracker-tiny';

/** The turn of the colour circle after which hues differ most from all before: the golden angle. */
const GOLDEN_ANGLE = 137.508;

/** As many colours as there are masks, neighbours far apart. */
function distinctColors(count: number): Color[] {
  return Array.from({ length: Math.max(count, 1) }, (_, index) => {
    const hue = (index * GOLDEN_ANGLE) % 360;
    const lightness = 0.45 + 0.15 * (Math.floor(index / 8) % 3);
    const channel = (offset: number): number => {
      const at = (offset + hue / 30) % 12;
      const chroma = 0.9 * Math.min(lightness, 1 - lightness);
      return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
    };
    return [channel(0), channel(8), channel(4)] as const;
  });
}

function generationOptions(options: GenerateCommandOptions): MaskGenerationOptions {
  const given = {
    points_per_crop: options.pointsPerCrop,
    points_per_batch: options.pointsPerBatch,
    crops_n_layers: options.cropsNLayers,
    pred_iou_thresh: options.predIouThresh,
    stability_score_thresh: options.stabilityScoreThresh,
    mask_threshold: options.maskThreshold,
    crops_nms_thresh: options.cropsNmsThresh,
    max_hole_area: options.maxHoleArea,
    max_sprinkle_area: options.maxSprinkleArea,
    min_mask_region_area: options.minMaskRegionArea,
    reference: options.reference,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** A bar for people at a terminal. */
function makeBar({ stderr }: Output, quiet: boolean): SingleBar | null {
  if (quiet || !(stderr instanceof Writable) || !('isTTY' in stderr) || stderr.isTTY !== true) return null;
  return new SingleBar({
    stream: stderr,
    format: '{name} [{bar}] {value}/{total} points, {masks} masks',
    hideCursor: true,
    clearOnComplete: true,
  });
}

/**
 * Runs the command. A picture that fails does not stop the others; an interruption does, and then what is done is
 * written.
 *
 * @param images paths or URLs.
 * @param options of the command line.
 * @param output where results and messages go.
 * @param report takes the error of a picture.
 * @returns the exit code.
 * @throws what loading the model and writing the annotations throw.
 */
export async function runGenerate(
  images: readonly string[],
  options: GenerateCommandOptions,
  output: Output,
  report: (error: unknown) => void,
): Promise<number> {
  const say = (text: string): void => void (options.quiet || output.stdout.write(text));
  if (options.model === undefined)
    say(`Using ${DEFAULT_MODEL}, a small demonstration model; --model takes a better one.\n`);
  using generator = await pipeline('mask-generation', options.model ?? DEFAULT_MODEL, {
    device: options.device,
    dtype: options.dtype,
  });
  await mkdir(options.out, { recursive: true });
  using interruption = new Interruption();
  const bar = makeBar(output, options.quiet);
  let current = '';
  let failures = 0;
  let done = 0;
  const annotations = path.join(options.out, 'annotations.json');
  try {
    await write_coco_annotations(generator, images, annotations, {
      segmentation: options.format,
      write_partial: true,
      generation: {
        ...generationOptions(options),
        signal: interruption.signal,
        progress_callback: ({ points_done, points_total, masks_kept }) => {
          const labels = { name: current, masks: masks_kept };
          if (points_done === 0 || !bar?.isActive) bar?.start(points_total, points_done, labels);
          bar?.update(points_done, labels);
        },
      },
      on_start: (name) => (current = resultName(name)),
      on_image: async (name, image, { masks }) => {
        bar?.stop();
        const overlay = path.join(options.out, `${resultName(name)}-masks.png`);
        await (await draw_overlay(image, masks, { colors: distinctColors(masks.length) })).save(overlay);
        say(`${name}: ${masks.length} masks -> ${overlay}\n`);
        done++;
      },
      on_error: (name, error) => {
        bar?.stop();
        failures++;
        report(new Error(`${name}: ${error.message}`, { cause: error }));
      },
    });
  } catch (error) {
    if (interruption.exitCode === null) throw error;
    bar?.stop();
    const where = done > 0 ? `; ${annotations} has those` : '';
    report(new Error(`Interrupted: ${done} of ${images.length} images are done${where}.`));
    return interruption.exitCode;
  } finally {
    bar?.stop();
  }
  if (failures < images.length) say(`-> ${annotations}\n`);
  return failures > 0 ? 1 : 0;
}
