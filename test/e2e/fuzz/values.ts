/** Values that no call expects, and edits that put them anywhere into arguments. */
import { Tensor } from '../../../lib';
import { type Dice, Planted } from './attack';

const plant = (): never => {
  throw new Planted('The input throws.');
};

function nested(depth: number, innermost: unknown = []): unknown {
  let value = innermost;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

function cyclic(): unknown[] {
  const list: unknown[] = [1];
  list.push(list);
  return list;
}

/** Values of JSON: what a request can hold. */
export const JSON_VALUES: readonly (() => unknown)[] = [
  ...[0, -1, 1, 2, 0.5, -0.5, 1e300, -1e300, 1e-300, 2 ** 24, 2 ** 31, 2 ** 32, 2 ** 53, 1e6, 40_000].map(
    (value) => () => value,
  ),
  ...[
    null,
    true,
    false,
    '',
    '3',
    'cuda:99',
    '__proto__',
    '../../x',
    '\0',
    '\u001b[2J',
    'x'.repeat(100_000),
  ].map((value) => () => value),
  () => [],
  () => ({}),
  () => [[]],
  () => [[[]], [[], [1]]],
  () => nested(50),
  () => nested(20_000),
  () => nested(4, [1, 2]),
  () => JSON.parse('{"__proto__": {"dims": [1], "size": 3}}') as unknown,
  () => new Array(20_000).fill([]),
  () => new Array(50_000).fill(1),
  () => Array.from({ length: 300 }, (_, index) => new Array(index).fill([1, 2])),
  () => ({ data: [], dims: [1, 500_000_000, 0, 2] }),
  () => ({ data: [1], dims: [1, 1, 1, 1] }),
  () => ({ size: [2 ** 31, 2 ** 31], counts: [] }),
  () => ({ size: [4000, 4000], counts: [1000, 4000 * 4000 - 1000] }),
  () => ({ height: 2 ** 20, width: 2 ** 20 }),
  () => Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`key${index}`, index])),
];

/** Values that only a program can make. */
const VALUES: readonly (() => unknown)[] = [
  ...[undefined, NaN, Infinity, -Infinity, -0, 1n, -1n, 2n ** 64n, Symbol('s')].map((value) => () => value),
  () => plant,
  () => new Date(NaN),
  () => /x/,
  () => new Map([[1, 2]]),
  () => new Set([1]),
  () => new Array(1000),
  () => new Array(20_000),
  () => [1, , 3],
  cyclic,
  () => {
    const own: Record<string, unknown> = {};
    own.data = own;
    own.dims = own;
    return own;
  },
  () => Object.create(null) as unknown,
  () => Object.create({ data: new Float32Array(4), dims: [1, 1, 2, 2] }) as unknown,
  () => Object.freeze([1, 2]),
  () => ({ length: 2 ** 53 }),
  () => ({ valueOf: plant, toString: plant, [Symbol.toPrimitive]: plant }),
  () => new Proxy({}, { get: plant, has: plant, ownKeys: plant, getPrototypeOf: plant }),
  () => new Proxy([1, 2, 3, 4], {}),
  () => ({
    get data() {
      return plant();
    },
    get dims() {
      return plant();
    },
    get size() {
      return plant();
    },
  }),
  () => new Number(3),
  () => new String('x'),
  () => Object.assign([1, 2], { length: 7 }),
  () => ({ data: new Uint8Array(6), dims: [2, 3] }),
  () => ({ data: new Float32Array([NaN, 1, Infinity, 2]), dims: [1, 1, 2, 2] }),
  () => ({ data: new Float32Array(0), dims: [1, 2 ** 31, 0, 2] }),
  () => ({ data: new Float32Array(0), dims: [0] }),
  () => ({ data: new Uint8Array(12), dims: [3, 2 ** 53, 4] }),
  () => ({ data: new Uint8Array(12), dims: [-3, -4] }),
  () => ({ data: new Uint8Array(12), dims: [3, 4n] }),
  () => ({ data: new DataView(new ArrayBuffer(8)), dims: [8] }),
  () => new Uint8Array(8),
  () => new Float32Array([NaN, Infinity, 1, 2]),
  () => new ArrayBuffer(8),
  () => Buffer.from('xyz'),
  () => new Tensor('float32', [], [0]),
  () => new Tensor('float32', [], [1, 500_000_000, 0, 2]),
  () => new Tensor('float32', [NaN], []),
  () => new Tensor('int64', [1n, 2n], [1, 1, 1, 2]),
  () => new Tensor('float32', new Float32Array(3 * 16 * 16), [1, 3, 16, 16]),
  () => new Tensor('bool', new Uint8Array(64).fill(1), [8, 8]),
  () => {
    const tensor = new Tensor('float32', new Float32Array(4), [1, 1, 2, 2]);
    tensor.dispose();
    return tensor;
  },
];

const ALL = [...JSON_VALUES, ...VALUES];

const isTree = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype);

/** Every place of a tree: who holds it and under which name. */
function placesOf(
  tree: unknown,
  found: [Record<string, unknown>, string][] = [],
): [Record<string, unknown>, string][] {
  if (isTree(tree) && found.length < 2000)
    for (const name of Object.keys(tree)) {
      found.push([tree, name]);
      placesOf(tree[name], found);
    }
  return found;
}

const short = (value: unknown): string => {
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
  return typeof value === 'symbol' || typeof value === 'function' ? typeof value : String(value).slice(0, 30);
};

/** Sets a place to something else. */
function edit(
  dice: Dice,
  owner: Record<string, unknown>,
  name: string,
  values: readonly (() => unknown)[],
): string {
  const old = owner[name];
  const way = dice.below(12);
  if (way === 0) {
    delete owner[name];
    return `${name} removed`;
  }
  if (way === 1) {
    owner[name] = [old];
    return `${name} in a list`;
  }
  if (way === 2 && Array.isArray(old)) {
    const times = dice.pick([2, 3, 100]);
    owner[name] = Array.from({ length: times }, () => old as unknown[]).flat();
    return `${name} ${times} times`;
  }
  if (way === 3 && Array.isArray(old)) {
    owner[name] = old.slice(1);
    return `${name} without its first`;
  }
  if (way === 4) {
    owner[`${name}_`] = old;
    return `${name}_ added`;
  }
  const value = dice.pick(values)();
  if (way === 5 && values === ALL) {
    let reads = 0;
    const after = dice.below(4);
    Object.defineProperty(owner, name, {
      enumerable: true,
      configurable: true,
      get: () => (reads++ < after ? old : value),
    });
    return `${name} is ${short(value)} after ${after} reads`;
  }
  if (way === 6 && values === ALL) {
    Object.defineProperty(owner, name, { enumerable: true, configurable: true, get: plant });
    return `${name} throws`;
  }
  owner[name] = value;
  return `${name} is ${short(value)}`;
}

/**
 * Makes one to three edits in a tree of plain objects and lists.
 *
 * @param dice what decides.
 * @param tree is changed.
 * @param isJson whether it has to stay JSON.
 * @returns what was done.
 */
export function editTree(dice: Dice, tree: unknown, isJson: boolean): string {
  const done: string[] = [];
  // Found before the first edit: what edits put in is not walked through, since it may be endless or throw.
  const places = placesOf(tree);
  for (let left = dice.pick([1, 1, 1, 2, 3]); left > 0 && places.length > 0; left--) {
    const [[owner, name]] = places.splice(dice.below(places.length), 1);
    done.push(edit(dice, owner, name, isJson ? JSON_VALUES : ALL));
  }
  return done.join(', ');
}
