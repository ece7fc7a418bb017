/** What the tests of mask generation share: images, settings that take little time, and what stands for a model. */
import assert from 'node:assert/strict';
import {
  MaskGenerationPipeline,
  RLEMask,
  RawImage,
  Sam3ImageProcessor,
  mask_to_rle,
  type Box,
  type GeneratedMask,
  type ImageSize,
  type MaskBatch,
  type MaskBatchResult,
  type MaskGenerationOptions,
  type Sam3TrackerModel,
} from '../../lib/index';
import type { Tensor } from '../../lib/tensor';
import { BUNDLED_SIDE } from './bundled-model';

/** Thresholds of a batch at which every mask stays as it is. */
export const KEEP_ALL = {
  pred_iou_thresh: 0,
  stability_score_thresh: 0,
  stability_score_offset: 1,
  mask_threshold: 0,
  max_hole_area: 0,
  max_sprinkle_area: 0,
} as const;

/** Few points, and thresholds at which the bundled model keeps masks. */
export const FEW = {
  points_per_crop: 6,
  points_per_batch: 18,
  pred_iou_thresh: 0.5,
  stability_score_thresh: 0.7,
} as const;

/** An image of some pattern. */
export function makeImage(width: number, height: number): RawImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, index) => (index * 37) % 251);
  return new RawImage(data, width, height, 3);
}

/** Stands for a model: notes what it is asked, and finds nothing. */
export class ModelStub {
  readonly batches: MaskBatch[] = [];
  /** What the encoder gives. */
  embeddings: Tensor[] = [];
  encoded = 0;
  disposed = false;
  readonly config = {
    mask_decoder_config: { hidden_size: 64, num_multimask_outputs: 3 },
    vision_config: { backbone_feature_sizes: [[96, 96], [48, 48], [24, 24]] }, // prettier-ignore
  };
  readonly dtype = 'float32';
  readonly device = 'cpu';
  readonly attn_implementation = 'sdpa';

  get_image_embeddings(pixels: Tensor): Promise<Tensor[]> {
    assert.deepEqual(pixels.dims, [1, 3, BUNDLED_SIDE, BUNDLED_SIDE]);
    this.encoded++;
    return Promise.resolve(this.embeddings);
  }

  generate_masks(batch: MaskBatch): Promise<MaskBatchResult> {
    this.batches.push(batch);
    return Promise.resolve({ masks: [], decode_seconds: 0, filter_seconds: 0, upsample_seconds: 0 });
  }

  dispose(): void {
    this.disposed = true;
  }

  /** All points that were asked about, [x, y] in pixels of the image. */
  get points(): number[][] {
    return this.batches.flatMap(({ points, crop_box: [x1, y1, x2, y2] }) =>
      Array.from({ length: points.length / 2 }, (_, index) => [
        x1 + (points[2 * index] / BUNDLED_SIDE) * (x2 - x1),
        y1 + (points[2 * index + 1] / BUNDLED_SIDE) * (y2 - y1),
      ]),
    );
  }
}

/** A mask as a model gives it: the rectangle of a box, whose right and bottom are inside. */
export function rectangle(box: Box, score: number, [height, width]: ImageSize): GeneratedMask {
  const [x1, y1, x2, y2] = box;
  const data = new Uint8Array(height * width);
  for (let y = y1; y <= y2; y++) data.fill(1, y * width + x1, y * width + x2 + 1);
  const { counts } = mask_to_rle({ type: 'bool', data, dims: [height, width] });
  const mask = new RLEMask([height, width], Uint32Array.from(counts));
  return { mask, box, score, stability_score: 1, point: 0 };
}

/** Finds rectangles: in the image as a whole, and in its first crop. */
export class FindingStub extends ModelStub {
  constructor(
    private readonly whole: [box: Box, score: number][],
    private readonly firstCrop: [box: Box, score: number][],
  ) {
    super();
  }

  override async generate_masks(batch: MaskBatch): Promise<MaskBatchResult> {
    const { masks, ...seconds } = await super.generate_masks(batch);
    const [x1, y1, x2, y2] = batch.crop_box;
    const [height, width] = batch.original_size;
    const isWhole = x2 - x1 === width && y2 - y1 === height;
    const found = isWhole ? this.whole : x1 === 0 && y1 === 0 ? this.firstCrop : [];
    masks.push(...found.map(([box, score]) => rectangle(box, score, batch.original_size)));
    return { masks, ...seconds };
  }
}

/** For models of the bundled one's size. */
export const image_processor = new Sam3ImageProcessor({
  size: { height: BUNDLED_SIDE, width: BUNDLED_SIDE },
});

/** A pipeline around a stub. */
export function pipelineOf(stub: ModelStub): MaskGenerationPipeline {
  return new MaskGenerationPipeline({ model: stub as unknown as Sam3TrackerModel, image_processor });
}

/** Lets a stub answer a call of the pipeline. */
export async function ask(image: RawImage, options: MaskGenerationOptions): Promise<ModelStub> {
  const stub = new ModelStub();
  await pipelineOf(stub)(image, options);
  return stub;
}
