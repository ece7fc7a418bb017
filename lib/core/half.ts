/** Half-precision numbers as their raw 16 bits, for runtimes without Float16Array. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The number that 16 bits of IEEE half precision stand for. */
export function float16ToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The 16 bits of the half-precision number nearest to a number, ties to even. */
export function numberToFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 2 ** -24)));
  // In units of the last place; the rounded value may carry into the next exponent, whose bits follow on directly.
  const units = roundToEven(magnitude / 2 ** (exponent - 10));
  return sign | (exponent === -14 ? units : ((exponent + 15) << 10) + units - 1024);
}

/** The number that 16 bits of bfloat16 stand for. */
export function bfloat16ToNumber(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

/** The 16 bits of the bfloat16 nearest to a number, ties to even. */
export function numberToBfloat16(value: number): number {
  float[0] = value;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
