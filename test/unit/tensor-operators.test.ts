/** The methods and functions of a Tensor against torch, over dtypes, shapes, views and arguments. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { DTYPES } from '../../lib/core/dtype';
import type { DType } from '../../lib/core/dtype';
import { Tensor } from '../../lib/tensor';
import * as functions from '../../lib/tensor-functions';
import { reference, ROOT, type Reference } from '../support/python';

/** A tensor for both sides: elements and dims, then views of them. */
interface Spec {
  dtype: DType;
  dims: number[];
  data: number[];
  views: [name: 'permute' | 'transpose' | 'slice', args: unknown[]][];
}

interface Case {
  name: string;
  args: unknown[];
}

const ALL = Object.keys(DTYPES) as DType[];
const FLOATING: DType[] = ['float32', 'float16', 'bfloat16', 'float64'];

const SHAPES: { dims: number[]; views?: Spec['views'] }[] = [
  { dims: [] },
  { dims: [0] },
  { dims: [5] },
  { dims: [2, 3] },
  { dims: [2, 0, 3] },
  { dims: [1, 3, 1] },
  { dims: [2, 3, 4], views: [['permute', [2, 0, 1]]] },
  {
    dims: [3, 6],
    views: [
      [
        'slice',
        [
          [1, 3],
          [2, 6],
        ],
      ],
      ['transpose', [0, 1]],
    ],
  },
];

function spec(dtype: DType, dims: number[], views: Spec['views'] = [], seed = 1): Spec {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const { kind } = DTYPES[dtype];
  const data = Array.from({ length: size }, (_, index) => {
    const value = ((index + seed) * 7919) % 23;
    if (kind === 'bool') return value % 2;
    if (dtype === 'uint8') return value;
    return kind === 'integer' ? value - 11 : (value - 11) / 4;
  });
  return { dtype, dims, data, views };
}

const isSpec = (value: unknown): value is Spec =>
  typeof value === 'object' && value !== null && 'views' in value;

function build(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(build);
  if (!isSpec(value)) return value;
  let tensor: Tensor = new Tensor(value.dtype, value.data, value.dims);
  for (const [name, args] of value.views) tensor = tensor[name](...(args as never[]));
  return tensor;
}

/** Every dtype in every shape, as the first argument of a call. */
function grid(dtypes: DType[], name: string, ...rest: unknown[]): Case[] {
  return dtypes.flatMap((dtype) =>
    SHAPES.map(({ dims, views }) => ({ name, args: [spec(dtype, dims, views), ...rest] })),
  );
}

const AXES = [null, 0, -1, 1, 2];

function along(dtypes: DType[], name: string): Case[] {
  return AXES.flatMap((dim) => [false, true].flatMap((keepdim) => grid(dtypes, name, dim, keepdim)));
}

function binaryCases(): Case[] {
  const names = ['add', 'sub', 'mul', 'div', 'remainder', 'gt', 'lt', 'ge', 'le', 'eq', 'ne'];
  const pairs = ALL.flatMap((a) => ALL.map((b) => [a, b] as const));
  return names.flatMap((name) => [
    ...[3, -2, 0.5, true].flatMap((value) => grid(ALL, name, value)),
    ...pairs.map(([a, b]) => ({ name, args: [spec(a, [2, 1, 3]), spec(b, [4, 1], [], 5)] })),
    ...pairs.map(([a, b]) => ({ name, args: [spec(a, [3]), spec(b, [], [], 4)] })),
    { name, args: [spec('float32', [2, 3]), spec('float32', [2])] },
    { name, args: [spec('float32', [2, 3]), spec('float32', [2, 0])] },
    { name, args: [spec('float32', [2, 1]), spec('float32', [2, 0])] },
    {
      name,
      args: [
        spec('float32', [2, 3, 4], [['permute', [2, 0, 1]]]),
        spec('float32', [3, 2], [['transpose', [0, 1]]]),
      ],
    },
  ]);
}

function reductionCases(): Case[] {
  return [
    ...['sum', 'mean'].flatMap((name) => [
      ...along(ALL, name),
      ...grid(ALL, name, [0, -1]),
      ...grid(['float32'], name, [1, 0], true),
    ]),
    ...['argmax', 'argmin'].flatMap((name) => along(ALL, name)),
    ...['max', 'min'].flatMap((name) => [
      ...grid(ALL, name),
      ...[0, -1, 1].flatMap((dim) => [false, true].flatMap((keepdim) => grid(ALL, name, dim, keepdim))),
    ]),
    ...['fro', 1, 2, 3, 0, 0.5].flatMap((p) =>
      AXES.flatMap((dim) => grid(['float32', 'float64', 'int32'], 'norm', p, dim)),
    ),
    ...[0, -1, 1].flatMap((dim) => grid(ALL, 'softmax', dim)),
    ...[1, 2].flatMap((p) => [0, 1].flatMap((dim) => grid(FLOATING, 'normalize', p, dim))),
    ...AXES.flatMap((dim) =>
      (dim === null ? [0, 1] : [0]).flatMap((correction) =>
        grid(FLOATING, 'std_mean', dim, correction, dim === 0),
      ),
    ),
    ...[0, 1, 2, 9].flatMap((k) =>
      [true, false].flatMap((largest) => grid(['float32', 'int64', 'uint8'], 'topk', k, -1, largest)),
    ),
  ];
}

function shapeCases(): Case[] {
  return [
    ...grid(ALL, 'clone'),
    ...grid(ALL, 'flatten'),
    ...[
      [0, 1],
      [1, -1],
      [1, 0],
      [0, 5],
    ].flatMap((args) => grid(['float32'], 'flatten', ...args)),
    ...[[1, 0], [0, 2, 1], [-1, 0, 1], [0, 0], [0]].flatMap((args) =>
      grid(['float32', 'int64'], 'permute', ...args),
    ),
    ...[
      [0, 1],
      [-1, 0],
      [1, 1],
      [0, 7],
    ].flatMap((args) => grid(['float32', 'bool'], 'transpose', ...args)),
    ...[[6], [-1], [3, -1], [2, 2], [-1, -1], [4, 2, 3], []].flatMap((args) => [
      ...grid(['float32'], 'view', args),
      ...grid(['float32'], 'reshape', args),
    ]),
    ...[
      [0, 0],
      [-1, -1],
      [1, 1],
      [0, 9],
      [5, 0],
    ].flatMap((args) => grid(['float32', 'int8'], 'select', ...args)),
    ...[0, -1, 1, 3, -4].flatMap((dim) => [
      ...grid(['float32'], 'squeeze', dim),
      ...grid(['float32'], 'unsqueeze', dim),
    ]),
    ...grid(ALL, 'squeeze'),
    ...[[2], [1, 2], [2, 1, 3], [0, 1, 1], [1, 2, 1, 2]].flatMap((args) => [
      ...grid(['float32', 'int64'], 'repeat', ...args),
      ...grid(['float32', 'int64'], 'tile', ...args),
    ]),
    ...grid(['float32'], 'stride'),
    { name: 'repeat', args: [spec('float32', [5]), -1] },
    { name: 'tile', args: [spec('float32', [5]), -1] },
  ];
}

function listCases(): Case[] {
  const lists = [
    [
      [2, 3],
      [2, 3],
    ],
    [
      [2, 3],
      [4, 3],
    ],
    [
      [2, 3],
      [2, 5],
    ],
    [[0], [2, 3]],
    [[0], [0]],
    [
      [2, 0],
      [2, 3],
    ],
    [[3]],
    [[], []],
    [[2, 3], [3]],
  ];
  return ['cat', 'stack'].flatMap((name) => [
    ...lists.flatMap((dims) =>
      [0, 1, -1, 2].map((dim) => ({
        name,
        args: [dims.map((item, index) => spec('float32', item, [], index)), dim],
      })),
    ),
    ...ALL.map((dtype) => ({ name, args: [[spec(dtype, [2]), spec('int32', [2])], 0] })),
    { name, args: [[], 0] },
  ]);
}

function resizeCases(): Case[] {
  const sizes = [
    [1, 1],
    [4, 4],
    [3, 7],
    [12, 10],
    [5, 6],
  ];
  const dims = [
    [5, 6],
    [2, 5, 6],
    [2, 3, 5, 6],
    [0, 3, 5, 6],
    [1, 0, 5, 6],
  ];
  const modes = ['nearest', 'nearest-exact', 'bilinear', 'bicubic'];
  return modes.flatMap((mode) =>
    sizes.flatMap((size) =>
      [
        [false, false],
        [true, false],
        [false, true],
        [true, true],
      ].flatMap((flags) => [
        ...dims.map((shape) => ({
          name: 'interpolate',
          args: [spec('float32', shape), size, mode, ...flags],
        })),
        ...ALL.map((dtype) => ({
          name: 'interpolate',
          args: [spec(dtype, [1, 2, 5, 6]), size, mode, ...flags],
        })),
        {
          name: 'interpolate',
          args: [spec('float32', [1, 6, 5, 2], [['permute', [0, 3, 1, 2]]]), size, mode, ...flags],
        },
      ]),
    ),
  );
}

const CASES: Record<string, () => Case[]> = {
  'operations with numbers and tensors': binaryCases,
  'functions of each element': () => [
    ...['neg', 'round', 'sigmoid'].flatMap((name) => grid(ALL, name)),
    ...[[-1, 1], [0], [null, 1.5], [2, 1], [0.5, null]].flatMap((args) => grid(ALL, 'clamp', ...args)),
  ],
  'reductions along axes': reductionCases,
  'views and copies': shapeCases,
  'lists of tensors': listCases,
  'matrix products': () =>
    [
      [
        [2, 3],
        [3, 4],
      ],
      [[3], [3]],
      [[2, 3], [3]],
      [[3], [3, 2]],
      [
        [5, 2, 3],
        [3, 4],
      ],
      [
        [5, 1, 2, 3],
        [2, 3, 4],
      ],
      [
        [2, 3],
        [2, 3],
      ],
      [[], [3]],
      [
        [2, 0],
        [0, 3],
      ],
    ].flatMap(([a, b]) =>
      (['float32', 'float64', 'int64', 'bool'] as const).map((dtype) => ({
        name: 'matmul',
        args: [spec(dtype, a), spec(dtype, b, [], 3)],
      })),
    ),
  'images in another size': resizeCases,
};

/** What a call gave, in the form of Python's answer. */
async function ours({ name, args }: Case): Promise<unknown> {
  const [first, ...rest] = args.map(build);
  // `mean` and `permute` are the methods.
  const isFunction = name in functions && !(name in Tensor.prototype);
  try {
    const call = (isFunction ? Reflect.get(functions, name) : Reflect.get(first as Tensor, name)) as (
      ...given: unknown[]
    ) => unknown;
    const result: unknown = await (isFunction ? call(first, ...rest) : Reflect.apply(call, first, rest));
    const results: unknown[] =
      Array.isArray(result) && result.length > 0 && result.every((item) => item instanceof Tensor)
        ? result
        : [result];
    return results.map((item) => (Tensor.isTensor(item) ? item.toJSON() : item));
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return { refused: error.name };
    throw error;
  }
}

/** Python's names of the numbers that JSON has no form for. */
const toPython = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, item: unknown) => (Object.is(item, -0) ? '-0.0' : item))
      .replaceAll('"NaN"', '"nan"')
      .replaceAll('"Infinity"', '"inf"')
      .replaceAll('"-Infinity"', '"-inf"'),
  );

describe('operators of a Tensor against torch', function () {
  let torch: Reference;
  before(function () {
    torch = reference(path.join(ROOT, 'test', 'support', 'tensor_reference.py'), this);
  });

  for (const [title, make] of Object.entries(CASES))
    it(title, async function () {
      this.timeout(60_000);
      const cases = make();
      const expected = (await torch.result('call', { cases })) as unknown[];
      const differing: string[] = [];
      let refused = 0;
      for (const [index, test] of cases.entries()) {
        const wanted = expected[index];
        const got = toPython(await ours(test));
        const isRefused = (answer: unknown): boolean =>
          typeof answer === 'object' && answer !== null && 'refused' in answer;
        if (isRefused(wanted) && isRefused(got)) refused += 1;
        else {
          const [a, b] = [JSON.stringify(got), JSON.stringify(toPython(wanted))];
          if (a !== b) differing.push(`${JSON.stringify(test)}\n  ours  ${a}\n  torch ${b}`);
        }
      }
      assert.equal(
        differing.length,
        0,
        `${differing.length} of ${cases.length} differ:\n${differing.slice(0, 8).join('\n')}`,
      );
      assert.ok(refused < cases.length);
      process.stdout.write(`      ${cases.length} calls equal, ${refused} of them refused by both\n`);
    });
});
