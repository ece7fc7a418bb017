/** Work of different kinds runs side by side: what waits for what. Orders are asserted, never times. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RawImage, Sam3TrackerModel, Sam3TrackerProcessor, Tensor } from '../../../lib/index';

const MODEL = 'sam3-tracker-tiny';

describe('work side by side', () => {
  let model: Sam3TrackerModel;
  let processor: Sam3TrackerProcessor;
  let image_embeddings: Tensor[];
  const click = () =>
    model({ image_embeddings, input_points: new Tensor('float32', [96, 96], [1, 1, 1, 2]) }).then(
      (outputs) => {
        outputs.dispose();
      },
    );

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(MODEL, { device: 'cpu' });
    processor = await Sam3TrackerProcessor.from_pretrained(MODEL);
    const image = await RawImage.read(
      path.join(__dirname, '..', '..', '..', 'examples', 'images', 'coffee.png'),
    );
    const { pixel_values } = await processor({ images: image });
    image_embeddings = await model.get_image_embeddings(pixel_values);
    await click();
  });

  after(() => model.dispose());

  /** The names of the calls in the order in which they settle. */
  async function orderOf(calls: Record<string, () => Promise<unknown>>): Promise<string[]> {
    const order: string[] = [];
    await Promise.all(
      Object.entries(calls).map(async ([name, call]) => {
        await call();
        order.push(name);
      }),
    );
    return order;
  }

  it('preprocessing of other images does not hold up a click', async () => {
    const large = new RawImage(new Uint8Array(4000 * 4000 * 3), 4000, 4000, 3);
    const preprocess = () => processor({ images: large });
    const order = await orderOf({
      a: preprocess,
      b: preprocess,
      c: preprocess,
      d: preprocess,
      e: preprocess,
      click,
    });
    assert.ok(order.indexOf('click') < order.indexOf('e'), order.join(' '));
  });

  it('an encode does not hold up masks of another image', async () => {
    const masks = new Tensor('float32', new Float32Array(96 * 96).fill(1), [1, 1, 1, 96, 96]);
    const encode = () =>
      model.get_image_embeddings(new Tensor('float32', new Float32Array(110592), [1, 3, 192, 192]));
    const postProcess = () => processor.post_process_masks(masks, [[300, 400]]);
    const order = await orderOf({ a: encode, b: encode, c: encode, postProcess });
    assert.ok(order.indexOf('postProcess') < order.indexOf('c'), order.join(' '));
  });

  it("the addon's work leaves libuv's pool to files", async () => {
    const encode = () =>
      model.get_image_embeddings(new Tensor('float32', new Float32Array(110592), [1, 3, 192, 192]));
    const encodes = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`encode ${index}`, encode]));
    const order = await orderOf({ ...encodes, file: () => stat(__filename) });
    assert.ok(order.indexOf('file') < order.indexOf('encode 7'), order.join(' '));
  });

  it('calls on one model run in the order of their making', async () => {
    const calls = Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [String(index).padStart(2, '0'), click]),
    );
    assert.deepEqual(await orderOf(calls), Object.keys(calls));
  });
});
