/** Reads and writes safetensors files for tests, right ones and wrong ones. The package's own reader is under test. */
import { readFileSync, writeFileSync } from 'node:fs';
import { DTYPES } from '../../lib/core/dtype';
import type { DType } from '../../lib/core/dtype';
import { Tensor } from '../../lib/tensor';

/** A weight as the file has it. */
export interface Weight {
  /** The format's name, such as F16. */
  dtype: string;
  shape: number[];
  bytes: Buffer;
}

const NAMES: Readonly<Record<string, DType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F64: 'float64',
  I64: 'int64',
  I32: 'int32',
  BOOL: 'bool',
};

/** All weights of a file by their names. */
export function readWeights(file: string): Map<string, Weight> {
  const content = readFileSync(file);
  const start = 8 + Number(content.readBigUInt64LE(0));
  const header = JSON.parse(content.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  delete header.__metadata__;
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => [name, { dtype, shape, bytes: content.subarray(start + begin, start + end) }],
    ),
  );
}

/** All weights of a file as Tensors. */
export function readTensors(file: string): Map<string, Tensor> {
  return new Map(
    [...readWeights(file)].map(([name, { dtype, shape, bytes }]) => {
      const type = NAMES[dtype];
      // A copy, since elements must be aligned.
      return [name, new Tensor(type, new DTYPES[type].array(Uint8Array.from(bytes).buffer), shape)];
    }),
  );
}

/** Writes a file of these weights, in the order of the map. */
export function writeWeights(file: string, weights: ReadonlyMap<string, Weight>): void {
  let offset = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { dtype, shape, bytes }] of weights) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  writeRaw(file, JSON.stringify(header), Buffer.concat([...weights.values()].map(({ bytes }) => bytes)));
}

/** Writes a file of any header text, right or wrong; `claimed` is the length of the header that the file states. */
export function writeRaw(file: string, header: string | Buffer, data: Buffer, claimed?: bigint): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(Buffer.byteLength(header)));
  writeFileSync(file, Buffer.concat([length, Buffer.from(header), data]));
}
