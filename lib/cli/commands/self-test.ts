/** What `sam3-tracker doctor` computes: a click with the bundled model on each kind of device. */
import { Sam3TrackerModel } from '../../model/modeling-sam3-tracker';
import { addon } from '../../native/binding';
import type { NativeRuntimeInfo } from '../../native/binding';
import { Sam3TrackerProcessor } from '../../processor/processing-sam3-tracker';
import { RawImage } from '../../image/raw-image';
import { DEFAULT_MODEL } from '../../core/package';
import type { DeviceOption } from '../../core/types';

/** A run of the bundled model on one device. */
export interface SelfTestResult {
  device: string;
  /** null where the result is as it has to be. */
  problem: string | null;
  milliseconds: number;
}

const SIDE = 256;
const CENTER = 110;
const RADIUS = 60;
/** Intersection over union with the disk that is drawn; the bundled model reaches 0.9 and more. */
const LEAST_IOU = 0.7;

const isInside = (x: number, y: number): boolean => (x - CENTER) ** 2 + (y - CENTER) ** 2 < RADIUS ** 2;

function drawDisk(): RawImage {
  const data = new Uint8Array(SIDE * SIDE * 3);
  for (let i = 0; i < SIDE * SIDE; i++)
    data.set(isInside(i % SIDE, Math.floor(i / SIDE)) ? [210, 60, 40] : [60, 90, 70], 3 * i);
  return new RawImage(data, SIDE, SIDE, 3);
}

function iouWithDisk(mask: ArrayLike<number | boolean>): number {
  let intersection = 0;
  let union = 0;
  for (let i = 0; i < SIDE * SIDE; i++) {
    const wanted = isInside(i % SIDE, Math.floor(i / SIDE));
    if (mask[i] && wanted) intersection++;
    if (mask[i] || wanted) union++;
  }
  return intersection / union;
}

async function segmentDisk(device: DeviceOption): Promise<number> {
  using model = await Sam3TrackerModel.from_pretrained(DEFAULT_MODEL, { device });
  const processor = await Sam3TrackerProcessor.from_pretrained(DEFAULT_MODEL);
  const inputs = await processor({
    images: drawDisk(),
    input_points: [[[[CENTER, CENTER]]]],
    input_labels: [[[1]]],
  });
  const outputs = await model({ ...inputs, multimask_output: false });
  const [masks] = await processor.post_process_masks(outputs.pred_masks, inputs.original_sizes);
  return iouWithDisk((await masks.cpu()).data);
}

async function testDevice(device: 'cpu' | 'cuda:0'): Promise<SelfTestResult> {
  const began = performance.now();
  let problem: string | null = null;
  try {
    const iou = await segmentDisk(device);
    if (!(iou >= LEAST_IOU))
      problem = `the mask of a drawn disk has an IoU of ${iou.toFixed(3)} with it, and at least ${LEAST_IOU} is expected`;
  } catch (error) {
    problem = (error as Error).message;
  }
  return { device, problem, milliseconds: Math.round(performance.now() - began) };
}

/** Runs the bundled model on the CPU, and on the first CUDA device where there is one. */
export async function runSelfTest(): Promise<{ runtime: NativeRuntimeInfo; results: SelfTestResult[] }> {
  const runtime = addon().runtimeInfo();
  const devices = runtime.cudaDevices > 0 ? (['cpu', 'cuda:0'] as const) : (['cpu'] as const);
  const results: SelfTestResult[] = [];
  for (const device of devices) results.push(await testDevice(device));
  return { runtime, results };
}
