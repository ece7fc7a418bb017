/**
 * A server for the Dockerfiles: POST an image to /?x=235&y=215 and get the mask of what is there, as PNG. The model is
 * loaded once; requests wait for one another on its thread, and the event loop stays free.
 */
import { createServer } from 'node:http';
import sharp from 'sharp';
import { RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const name = process.env.MODEL ?? 'sam3-tracker-tiny';
const model = await Sam3TrackerModel.from_pretrained(name, { device: 'auto' });
const processor = await Sam3TrackerProcessor.from_pretrained(name);

async function segment(bytes, x, y) {
  const image = await RawImage.read(bytes);
  const inputs = await processor({ images: image, input_points: [[[[x, y]]]], input_labels: [[[1]]] });
  const outputs = await model({ ...inputs, multimask_output: false });
  const [masks] = await processor.post_process_masks(outputs.pred_masks, inputs.original_sizes);
  const { data } = await masks.cpu();
  outputs.dispose();
  masks.dispose();
  const pixels = data.map((inside) => (inside ? 255 : 0));
  return sharp(pixels, { raw: { width: image.width, height: image.height, channels: 1 } })
    .png()
    .toBuffer();
}

const server = createServer(async (request, response) => {
  const { searchParams } = new URL(request.url, 'http://localhost');
  try {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const mask = await segment(
      Buffer.concat(pieces),
      Number(searchParams.get('x')),
      Number(searchParams.get('y')),
    );
    response.writeHead(200, { 'content-type': 'image/png' }).end(mask);
  } catch (error) {
    response.writeHead(400, { 'content-type': 'text/plain' }).end(`${error.message}\n`);
  }
});
server.listen(Number(process.env.PORT ?? 8080), () => console.log(`${name} on ${model.device}`));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
