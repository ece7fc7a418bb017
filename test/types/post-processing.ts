/** What the compiler must take and refuse of post-processing: test/repo/types.test.ts. */
import type { PostProcessMasksOptions, Sam3TrackerProcessor, Tensor } from '../../lib/index';

/** post_process_masks, positional, with options, and in transformers.js' form. */
export async function postProcessing(processor: Sam3TrackerProcessor, logits: Tensor): Promise<void> {
  const sizes: [number, number][] = [[400, 600]];
  const masks: Tensor[] = await processor.post_process_masks(logits, sizes);
  const options: PostProcessMasksOptions = { mask_threshold: 0.5, max_hole_area: 4 };
  await processor.post_process_masks(logits, sizes, options);
  await processor.post_process_masks([logits], logits, 0, false, 8, 8, true);
  await processor.post_process_masks(logits, sizes, sizes, { binarize: false });
  await processor.image_processor.post_process_masks(masks, sizes);
  // @ts-expect-error a misspelt option
  await processor.post_process_masks(logits, sizes, { binarise: false });
  // @ts-expect-error an option of another type
  await processor.post_process_masks(logits, sizes, { mask_threshold: '0' });
  // @ts-expect-error arguments in another order
  await processor.post_process_masks(logits, sizes, true, 0);
  // @ts-expect-error options beside positional arguments
  await processor.post_process_masks(logits, sizes, 0, { binarize: false });
  // @ts-expect-error an argument too many
  await processor.post_process_masks(logits, sizes, 0, true, 0, 0, false, 0);
  // @ts-expect-error no sizes
  await processor.post_process_masks(logits);
  // @ts-expect-error one number for a size
  await processor.post_process_masks(logits, [400]);
  // @ts-expect-error nested numbers are no logits
  await processor.post_process_masks([[[[0]]]], sizes);
  // @ts-expect-error a promise is no list
  const [first] = processor.post_process_masks(logits, sizes);
  void first;
}
