/** Prompts as they are written on the command line. */
import { InvalidArgumentError } from 'commander';
import type { Box } from '../masks/types';

/** What is asked of one object, in pixels of the image. */
export interface ObjectPrompt {
  /** Clicks. */
  points: [x: number, y: number][];
  /** One for each click: 1 on the object, 0 off it. */
  labels: number[];
  box: Box | null;
}

/**
 * Checks that prompts lie inside an image, or on its edges. The model itself takes any coordinates, as transformers'
 * does; on the command line one outside is a slip of the hand.
 *
 * A point names a pixel, so that width and height lie outside; a box's right and bottom edge may lie there.
 *
 * @throws RangeError that names the first prompt outside, and the image's size.
 */
export function checkInside(
  objects: readonly ObjectPrompt[],
  { width, height }: { width: number; height: number },
): void {
  const size = `${width}x${height} pixels (width x height)`;
  const isOutside = ([x, y]: readonly number[]): boolean => x < 0 || x > width || y < 0 || y > height;
  for (const { points, box } of objects) {
    const point = points.find((one) => isOutside(one) || one[0] === width || one[1] === height);
    if (point) throw new RangeError(`--point ${point.join(',')} is not in the image of ${size}.`);
    if (box && (isOutside(box.slice(0, 2)) || isOutside(box.slice(2))))
      throw new RangeError(`--box ${box.join(',')} is not in the image of ${size}.`);
  }
}

function parseNumbers(text: string, form: string): number[] {
  const parts = text.split(',');
  const numbers = parts.map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (!numbers.every(Number.isFinite)) throw new InvalidArgumentError(`Expected ${form} in pixels.`);
  return numbers;
}

/** A box `x1,y1,x2,y2`. @throws InvalidArgumentError for anything but four numbers, or corners in another order. */
export function parseBox(text: string): Box {
  const form = 'x1,y1,x2,y2';
  const numbers = parseNumbers(text, form);
  if (numbers.length !== 4) throw new InvalidArgumentError(`Expected ${form} in pixels.`);
  const [x1, y1, x2, y2] = numbers;
  if (x2 < x1 || y2 < y1)
    throw new InvalidArgumentError('Expected the top left corner first (x1 <= x2, y1 <= y2).');
  return [x1, y1, x2, y2];
}

/**
 * Gathers prompts into objects in the order in which they are written: points and at most one box describe an object;
 * `--object`, or a box where there is one already, begins the next.
 */
export class PromptCollector {
  readonly #objects: ObjectPrompt[] = [];
  #isOpen = false;

  /** `--object`. @throws InvalidArgumentError where the object before has no prompt. */
  startObject(): void {
    if (this.#isOpen) throw new InvalidArgumentError('An --object has no --point and no --box.');
    this.#isOpen = true;
  }

  /** `--point x,y[,label]`. @throws InvalidArgumentError for anything but numbers, or another label than 0 and 1. */
  addPoint(text: string): void {
    const form = 'x,y or x,y,label';
    const [x, y, label = 1, ...rest] = parseNumbers(text, form);
    if (y === undefined || rest.length > 0) throw new InvalidArgumentError(`Expected ${form} in pixels.`);
    if (label !== 0 && label !== 1)
      throw new InvalidArgumentError('Expected a label of 1 (on the object) or 0 (beside it).');
    const object = this.#current();
    object.points.push([x, y]);
    object.labels.push(label);
  }

  /** `--box x1,y1,x2,y2`. @throws as parseBox. */
  addBox(text: string): void {
    const box = parseBox(text);
    if (!this.#isOpen && this.#objects.at(-1)?.box) this.#isOpen = true;
    this.#current().box = box;
  }

  /** The objects in order. @throws InvalidArgumentError where the last `--object` has no prompt. */
  finish(): ObjectPrompt[] {
    if (this.#isOpen) throw new InvalidArgumentError('An --object has no --point and no --box.');
    return this.#objects;
  }

  #current(): ObjectPrompt {
    if (this.#isOpen || this.#objects.length === 0) this.#objects.push({ points: [], labels: [], box: null });
    this.#isOpen = false;
    return this.#objects[this.#objects.length - 1];
  }
}
