/** What the compiler must take and refuse of tensors, images and masks: test/repo/types.test.ts. */
import {
  draw_overlay,
  mask_planes,
  mask_iou,
  mask_to_rle,
  RawImage,
  rle_to_mask,
  Tensor,
  topk,
} from '../../lib/index';
import type { Mask, NestedList, RLE, Sam3TrackerModel, Sam3TrackerProcessor } from '../../lib/index';

/** Construction, views and moves. */
export async function tensors(): Promise<void> {
  const tensor = new Tensor('float32', [1, 2], [2]);
  const view: Tensor = tensor.slice(0, [1, null], null).reshape(-1).unsqueeze(0);
  const lists: NestedList = view.tolist();
  const dims: readonly number[] = tensor.dims;
  const best: Tensor = await tensor.argmax(0, true);
  await tensor.to({ device: 'cuda:1', dtype: 'bfloat16' });
  using owned = new Tensor('int64', [1n], [1]);
  // @ts-expect-error no such element type
  new Tensor('float', [1], [1]);
  // @ts-expect-error no dims
  new Tensor('float32', [1]);
  // @ts-expect-error text among the elements
  new Tensor('float32', ['1'], [1]);
  // @ts-expect-error a range without its end
  tensor.slice([1]);
  // @ts-expect-error a tensor does not change its shape
  tensor.dims = [1, 2];
  // @ts-expect-error moving takes a while
  void tensor.cpu().data;
  // @ts-expect-error a tensor goes to a named device
  await tensor.to('auto');
  // @ts-expect-error no such device
  await tensor.to('gpu');
  void [lists, dims, best, owned];
}

/** The dtype goes through calls, so that elements need no casts. */
export async function dtypes(
  model: Sam3TrackerModel,
  processor: Sam3TrackerProcessor,
  any: Tensor,
): Promise<void> {
  const floats = new Tensor('float32', [1, 2], [2]);
  const data: Float32Array = floats.data;
  const lists = (await floats.mul(2)).tolist<number[]>();
  const half: Uint16Array = (await floats.to('fp16')).data;
  const same: Tensor<'float32'> = await floats.slice([0, 1]).cpu();
  const index: bigint = (await floats.argmax()).item();
  const bits: Tensor<'bool'> = await floats.gt(any);
  const [values, indices] = await topk(floats, 1);
  const numbers: [number, bigint] = [values.item(), indices.item()];
  const inputs = await processor({ images: 'photo.jpg', input_points: [[[[1, 2]]]] });
  const sizes: BigInt64Array = inputs.original_sizes.data;
  const outputs = await model(inputs);
  const score: number = outputs.iou_scores.item();
  const [mask] = await processor.post_process_masks(outputs.pred_masks, inputs.original_sizes);
  const bytes: Uint8Array = mask.data;
  const [logits] = await processor.post_process_masks(outputs.pred_masks, inputs.original_sizes, {
    binarize: false,
  });
  const logit: number = logits.item();
  const predicted = await model.predict_masks(inputs, 0.5, true);
  const inside: number = predicted.masks[0].data[0];
  // @ts-expect-error elements of float32 are numbers
  const wrong: bigint = floats.item();
  // @ts-expect-error lists of int64 hold bigints
  indices.tolist<number[]>();
  // @ts-expect-error logits are no bytes
  const cast: Uint8Array = logits.data;
  // @ts-expect-error the sum is a promise
  void floats.add(1).data;
  // @ts-expect-error a tensor is not written by index
  floats[0] = floats;
  void [data, lists, half, same, index, bits, numbers, sizes, score, bytes, logit, inside, wrong, cast];
}

/** Images, masks and their encodings. */
export async function masks(image: RawImage, tensor: Tensor): Promise<void> {
  const planes: Mask[] = mask_planes({ data: new Uint8Array(4), dims: [1, 2, 2] });
  const rle: RLE = mask_to_rle(planes[0]);
  const iou: number = mask_iou(rle, rle_to_mask(rle));
  const overlay: RawImage = await draw_overlay(
    image,
    [planes[0], { data: new Uint8Array(4), dims: [2, 2] }],
    {
      colors: [[1, 2, 3]],
    },
  );
  await RawImage.read(new URL('file:///photo.jpg'), { limitInputPixels: false });
  // @ts-expect-error five channels
  new RawImage(new Uint8Array(5), 1, 1, 5);
  // @ts-expect-error pixels that are no bytes
  new RawImage(new Float32Array(3), 1, 1, 3);
  await RawImage.read(image.toSharp());
  // @ts-expect-error a number is no image
  await RawImage.read(12345);
  // @ts-expect-error no such step of sharp
  image.toSharp().sharper();
  // @ts-expect-error a misspelt option
  await RawImage.read('photo.jpg', { autorient: true });
  // @ts-expect-error a colour of two channels
  await draw_overlay(image, planes, { colors: [[1, 2]] });
  // @ts-expect-error a mask without its shape
  mask_to_rle(new Uint8Array(4));
  // @ts-expect-error counts without a size
  rle_to_mask({ counts: [4] });
  // @ts-expect-error a list of masks is not one mask
  mask_iou(planes, planes);
  // @ts-expect-error decoding takes a while
  void RawImage.read('photo.jpg').width;
  void [iou, overlay, tensor];
}
