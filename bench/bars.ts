/** The bars of the benchmark: how much of a peer's time ours may take. */
import { shown, type CaseResult, type Check } from './report';

/** Ours may take at most `limit` of the peer's median in the case of that name. */
export interface Bar {
  case: string;
  peer: 'transformers' | 'onnxruntime';
  limit: number;
}

const PEER_NAMES = { transformers: "transformers'", onnxruntime: "ONNX Runtime's" };

/** Each bar as a check, failed where its case is missing or the sides' results differ. */
export function barChecks(bars: readonly Bar[], cases: readonly CaseResult[]): Check[] {
  return bars.map(({ case: name, peer, limit }) => {
    const found = cases.find((one) => one.name === name);
    const ratio = (found?.ours?.median ?? NaN) / (found?.[peer]?.median ?? NaN);
    return {
      name: `${name}: at most ${shown(limit)} of ${PEER_NAMES[peer]}`,
      passed: ratio <= limit && found?.agree !== false,
      found: found?.agree === false ? `${shown(ratio)}, but the results differ` : shown(ratio),
    };
  });
}
