/** Several sides at once, with the same number of threads. */
import { Peer, type Description, type Side } from './peer';

/** Running sides, ours first, as it is compared. */
export type Sides = readonly [ours: Peer, transformers: Peer, ...others: Peer[]];

/**
 * Starts ours, transformers' and `others`, hands them and what they say of themselves over, and ends them.
 *
 * @throws Error where one cannot be started or has another number of threads.
 */
export async function withSides<T>(
  threads: number,
  run: (sides: Sides, descriptions: Readonly<Record<string, Description>>) => Promise<T>,
  others: readonly Side[] = [],
): Promise<T> {
  const sides: Peer[] = [];
  try {
    // One by one, so that those that did start are ended where the next cannot.
    for (const side of ['ours', 'transformers', ...others] as const) sides.push(Peer.start(side, threads));
    const [ours, transformers, ...rest] = sides;
    return await run([ours, transformers, ...rest], await describeSides(sides, threads));
  } finally {
    await Promise.all(sides.map((side) => side.close()));
  }
}

/** What sides say of themselves, by side. @throws Error where one says that it has not `threads` threads. */
export async function describeSides(
  sides: readonly Peer[],
  threads: number,
): Promise<Record<string, Description>> {
  const found: Record<string, Description> = {};
  for (const side of sides) {
    const description = await side.call<Description>('describe', { threads });
    if (description.threads !== null && description.threads !== threads)
      throw new Error(`${side.side} runs with ${description.threads} threads instead of ${threads}`);
    found[side.side] = description;
  }
  return found;
}
