/** Segment everything, transformers' `pipeline("mask-generation")`: `npx tsx examples/mask-generation.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, pipeline, RawImage } from 'sam3-tracker';

const generator = await pipeline('mask-generation', 'sam3-tracker-tiny');

const image = await RawImage.read(new URL('images/astronaut.png', import.meta.url));
const { masks, scores } = await generator(image, { points_per_batch: 64, points_per_crop: 16 });
console.log(`Generated ${masks.length} masks`);
console.log('Scores:', JSON.stringify(scores.map((score) => Number(score.toFixed(3)))));

const overlay = await draw_overlay(image, masks);
const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
await overlay.save(`${out}/mask-generation.png`);
generator.dispose();
