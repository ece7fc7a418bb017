/** The best of the masks that the model proposes for each object. */
import { types } from 'node:util';
import { wrongType, wrongValue } from '../core/errors';
import { checkMask, type Mask } from '../masks/types';
import { Tensor } from '../tensor';

/** The candidate of one object with the highest predicted IoU. */
export interface BestCandidate {
  /** Which of the candidates it is, from 0. */
  index: number;
  /** Its predicted IoU. */
  iou_score: number;
  /** Its low-resolution logits, (1, 1, height, width): `input_masks` of the next call for this object refines it. */
  pred_mask: Tensor;
}

/** The same where masks in the image's size are at hand. */
export interface BestMask extends BestCandidate {
  /** (H, W) of the image. */
  mask: Mask;
}

/** What of the model's outputs is looked at. */
interface Candidates {
  /** (images, objects, masks). */
  readonly iou_scores: Tensor;
  /** (images, objects, masks, height, width). */
  readonly pred_masks: Tensor;
  /** (objects, masks, H, W) of each image, bool or uint8. */
  readonly masks?: readonly Tensor[] | null;
}

function checkTensor(value: unknown, name: string, leading: readonly (number | null)[], axes: string): void {
  if (!Tensor.isTensor(value))
    throw wrongType('what Sam3TrackerModel returns', name === '' ? 'outputs' : `outputs.${name}`, value);
  const { dims } = value;
  const rank = axes.split(',').length;
  if (dims.length !== rank || leading.some((length, axis) => length !== null && length !== dims[axis]))
    throw wrongValue(`dims (${axes}) like iou_scores`, `outputs.${name}`, dims);
}

/** What is checked is what is used: a getter may give something else the next time. */
function readCandidates(outputs: Candidates): Candidates {
  if (typeof outputs !== 'object' || outputs === null || types.isPromise(outputs))
    throw wrongType('what Sam3TrackerModel returns', 'outputs', outputs);
  const { iou_scores, pred_masks, masks = null } = outputs;
  checkTensor(iou_scores, 'iou_scores', [], 'images, objects, masks');
  const { dims } = iou_scores;
  if (dims.includes(0)) throw wrongValue('at least one mask of each object', 'outputs.iou_scores', dims);
  checkTensor(pred_masks, 'pred_masks', dims, 'images, objects, masks, height, width');
  if (masks === null) return { iou_scores, pred_masks };
  if (!Array.isArray(masks)) throw wrongType('a list of Tensors', 'outputs.masks', masks);
  if (masks.length !== dims[0])
    throw wrongValue(`the masks of ${dims[0]} images`, 'outputs.masks', masks.length);
  masks.forEach((tensor, image) =>
    checkTensor(tensor, `masks[${image}]`, dims.slice(1), 'objects, masks, height, width'),
  );
  return { iou_scores, pred_masks, masks };
}

async function readMask(candidates: Tensor, object: number, index: number, name: string): Promise<Mask> {
  using view = candidates.slice(object, index);
  using plane = await view.cpu();
  const { data, size } = checkMask(plane, name);
  // A copy, which does not keep the memory of the other candidates.
  return { type: 'bool', data: Uint8Array.from(data), dims: size };
}

/**
 * The best of each object's masks by `iou_scores`, of what `predict_masks` returns; or of what `forward` returns, with
 * `masks` of post_process_masks beside it: `best_mask({ ...outputs, masks })`.
 *
 * @returns a list for each image of one for each object: `const [[best]] = await best_mask(outputs)` for a single one. Only
 *   the chosen masks leave the device.
 * @throws TypeError for other kinds, logits as masks among them; RangeError for dims that do not fit each other;
 *   Sam3TrackerError DISPOSED.
 */
export function best_mask(outputs: Candidates & { readonly masks: readonly Tensor[] }): Promise<BestMask[][]>;
/**
 * The same without masks in the image's size, of what `forward` returns: which one is the best, its score, and its logits.
 */
export function best_mask(outputs: Candidates): Promise<BestCandidate[][]>;
/** The one behind both. */
export async function best_mask(outputs: Candidates): Promise<BestCandidate[][]> {
  const { iou_scores, pred_masks, masks } = readCandidates(outputs);
  using chosen = await iou_scores.argmax(-1);
  using chosenHost = await chosen.cpu();
  using scoresHost = await iou_scores.to({ device: 'cpu', dtype: 'float32' });
  const indices = chosenHost.tolist<bigint[][]>();
  const scores = scoresHost.tolist<number[][][]>();
  const found: (BestCandidate | BestMask)[][] = [];
  for (const [image, row] of indices.entries()) {
    const objects = row.map(async (at, object): Promise<BestCandidate | BestMask> => {
      const index = Number(at);
      const candidate = {
        index,
        iou_score: scores[image][object][index],
        pred_mask: pred_masks.slice([image, image + 1], [object, object + 1], index),
      };
      if (!masks) return candidate;
      return { ...candidate, mask: await readMask(masks[image], object, index, `outputs.masks[${image}]`) };
    });
    found.push(await Promise.all(objects));
  }
  return found;
}
