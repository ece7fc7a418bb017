/** The checks of options that the whole package uses. */
import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import { checkReturnTensors, checkSize, parseDevice, parseDtype } from '../../../lib/core/device';
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
  isPlainObject,
  likelyName,
} from '../../../lib/core/options';

type Kind = typeof RangeError | typeof TypeError;

/** Refused values: the call, the kind of error, and what the message says. */
function refuses(cases: [call: () => unknown, kind: Kind, message: RegExp][]): void {
  for (const [call, kind, message] of cases)
    assert.throws(call, (error: Error) => {
      assert.ok(error instanceof kind, `${call.toString()}: ${error}`);
      assert.match(error.message, message);
      return true;
    });
}

describe('checkOptions', () => {
  const allowed = ['input_points', 'input_labels', 'device', 'size'];

  it('takes known names, and nothing for no options', () => {
    const options = { device: 'cpu', size: undefined };
    assert.equal(checkOptions(options, allowed, 'f'), options);
    assert.deepEqual(checkOptions(undefined, allowed, 'f'), {});
    assert.deepEqual(checkOptions(Object.create(null), allowed, 'f'), Object.create(null));
  });

  it('names the likely spelling of an unknown one', () => {
    refuses([
      [
        () => checkOptions({ input_point: 1 }, allowed, 'f'),
        TypeError,
        /^Unknown option "input_point" for f\. Did you mean "input_points"\?$/,
      ],
      [() => checkOptions({ inputLabels: 1 }, allowed, 'f'), TypeError, /Did you mean "input_labels"\?$/],
      [() => checkOptions({ devcie: 1 }, allowed, 'f'), TypeError, /Did you mean "device"\?$/],
      [
        () => checkOptions({ colour: 1 }, allowed, 'f'),
        TypeError,
        /It takes: input_points, input_labels, device, size\.$/,
      ],
    ]);
  });

  it('refuses what is no object literal', () => {
    for (const value of [null, 5, 'a', [], new Map(), () => 1, new Date()])
      refuses([[() => checkOptions(value, allowed, 'f'), TypeError, /^Expected an object of options for f/]]);
  });
});

describe('likelyName', () => {
  it('finds the nearest name at most a third away', () => {
    assert.equal(likelyName('iput_boxes', ['input_points', 'input_boxes']), 'input_boxes');
    assert.equal(likelyName('dtpye', ['device', 'dtype']), 'dtype');
    assert.equal(likelyName('torchDtype', ['dtype', 'torch_dtype']), 'torch_dtype');
    assert.equal(likelyName('zzz', ['dtype', 'device']), null);
    assert.equal(likelyName('', ['dtype']), null);
    assert.equal(likelyName('dtype', []), null);
  });
});

describe('isPlainObject', () => {
  it('tells object literals, of any realm, from instances', () => {
    for (const value of [{}, Object.create(null), runInNewContext('({ a: 1 })')])
      assert.equal(isPlainObject(value), true);
    for (const value of [null, [], new Map(), new (class A {})(), 5, 'a', undefined, runInNewContext('[]')])
      assert.equal(isPlainObject(value), false);
  });
});

describe('checks of single values', () => {
  it('return what is right', () => {
    assert.equal(checkNumber(1.5, 'x'), 1.5);
    assert.equal(checkInteger(-3, 'x', { min: -3, max: 0 }), -3);
    assert.equal(checkBoolean(false, 'x'), false);
    assert.equal(checkString('a', 'x'), 'a');
    assert.equal(checkOneOf('b', ['a', 'b'], 'x'), 'b');
    assert.deepEqual(checkSize([3, 4], 'x'), [3, 4]);
    assert.deepEqual(checkSize(Int32Array.of(3, 4), 'x'), [3, 4]);
  });

  it('throw TypeError for kind and RangeError for value', () => {
    refuses([
      [() => checkNumber('1', 'x'), TypeError, /^Expected a number for x but received "1" of type string\.$/],
      [() => checkNumber(NaN, 'x'), RangeError, /^Expected a finite number for x but received NaN/],
      [() => checkNumber(-Infinity, 'x', { min: 0 }), RangeError, /finite number of at least 0/],
      [() => checkNumber(2, 'x', { max: 1 }), RangeError, /a number of at most 1/],
      [() => checkNumber(-1, 'x', { min: 0, max: 1 }), RangeError, /a number from 0 to 1/],
      [() => checkInteger(1.5, 'x'), RangeError, /an integer for x but received 1\.5/],
      [() => checkInteger(2 ** 53, 'x'), RangeError, /an integer/],
      [() => checkInteger(1n, 'x'), TypeError, /an integer for x but received 1n of type bigint/],
      [() => checkInteger(0, 'x', { min: 1 }), RangeError, /an integer of at least 1/],
      [() => checkBoolean(1, 'x'), TypeError, /a boolean for x but received 1 of type number/],
      [() => checkString(5, 'x'), TypeError, /a string/],
      [() => checkString('', 'x'), RangeError, /not empty/],
      [() => checkOneOf('c', ['a', 'b'], 'x'), RangeError, /one of "a", "b" for x but received "c"/],
      [() => checkOneOf(null, ['a'], 'x'), TypeError, /null/],
      [() => checkSize([1], 'x'), TypeError, /\[height, width\] for x/],
      [() => checkSize({ height: 1, width: 2 }, 'x'), TypeError, /\[height, width\]/],
      [() => checkSize([1, 0], 'x'), RangeError, /x\[1\] \(width\)/],
      [() => checkSize(['1', 2], 'x'), TypeError, /x\[0\] \(height\)/],
    ]);
  });
});

describe('parseDevice', () => {
  it('reads device and device_map', () => {
    assert.equal(parseDevice({}), 'auto');
    assert.equal(parseDevice({ device: null, device_map: undefined }), 'auto');
    assert.equal(parseDevice({ device: 'cpu' }), 'cpu');
    assert.equal(parseDevice({ device: 'cuda' }), 'cuda:0');
    assert.equal(parseDevice({ device: 'cuda:3' }), 'cuda:3');
    assert.equal(parseDevice({ device: 2 }), 'cuda:2');
    assert.equal(parseDevice({ device_map: 'auto' }), 'auto');
    assert.equal(parseDevice({ device_map: { '': 0 } }), 'cuda:0');
    assert.equal(parseDevice({ device_map: { '': 'cpu' } }), 'cpu');
    assert.equal(parseDevice({ device: 'cuda', device_map: { '': 'cuda:0' } }), 'cuda:0');
  });

  it('refuses everything else', () => {
    refuses([
      ...[
        'gpu',
        'cuda:',
        'cuda:-1',
        'cuda:01',
        'cuda:1.5',
        'CPU',
        'cpu:0',
        'mps',
        'balanced',
        '',
        'cuda:999',
      ].map((device): [() => unknown, Kind, RegExp] => [
        () => parseDevice({ device: device as never }),
        RangeError,
        /^Expected "auto", "cpu", "cuda", "cuda:N" or a device number N for device/,
      ]),
      [() => parseDevice({ device: -1 }), RangeError, /device/],
      [() => parseDevice({ device: 1.5 }), RangeError, /device/],
      [() => parseDevice({ device: true as never }), TypeError, /device/],
      [() => parseDevice({ device: { '': 'cpu' } as never }), TypeError, /device/],
      [() => parseDevice({ device_map: {} as never }), RangeError, /one device as a whole/],
      [() => parseDevice({ device_map: { '': 'cpu', decoder: 'cuda' } as never }), RangeError, /device_map/],
      [() => parseDevice({ device_map: { '': null } as never }), TypeError, /device_map\[''\]/],
      [() => parseDevice({ device_map: ['cpu'] as never }), TypeError, /device_map/],
      [
        () => parseDevice({ device: 'cpu', device_map: 'cuda' }),
        RangeError,
        /the same device as device \(cpu\)/,
      ],
    ]);
  });
});

describe('parseDtype', () => {
  it('reads dtype and torch_dtype', () => {
    assert.equal(parseDtype({}), 'auto');
    assert.equal(parseDtype({ dtype: 'bfloat16' }), 'bfloat16');
    assert.equal(parseDtype({ torch_dtype: 'float16' }), 'float16');
    assert.equal(parseDtype({ dtype: 'fp32' }), 'float32');
    assert.equal(parseDtype({ dtype: 'bf16', torch_dtype: 'bfloat16' }), 'bfloat16');
    assert.equal(parseDtype({ dtype: 'float32', torch_dtype: 'float32' }), 'float32');
  });

  it('refuses everything else', () => {
    refuses([
      [
        () => parseDtype({ dtype: 'float64' as never }),
        RangeError,
        /one of "auto", "float32", "float16", "bfloat16" for dtype/,
      ],
      [() => parseDtype({ torch_dtype: 'q8' as never }), RangeError, /torch_dtype/],
      [() => parseDtype({ dtype: 16 as never }), TypeError, /dtype/],
      [
        () => parseDtype({ dtype: 'float32', torch_dtype: 'float16' }),
        RangeError,
        /the same type as dtype \(float32\)/,
      ],
    ]);
  });
});

describe('checkReturnTensors', () => {
  it("takes 'pt' and 'np', and refuses the rest as transformers does", () => {
    assert.equal(checkReturnTensors(undefined), 'pt');
    assert.equal(checkReturnTensors(null), 'pt');
    assert.equal(checkReturnTensors('np'), 'np');
    refuses([
      [
        () => checkReturnTensors('tf'),
        RangeError,
        /^tf is not a valid TensorType, please select one of \['pt', 'np', 'mlx'\]$/,
      ],
      [
        () => checkReturnTensors('mlx'),
        RangeError,
        /^Unable to convert output to MLX tensors format, MLX is not installed\.$/,
      ],
      [() => checkReturnTensors(1), TypeError, /return_tensors/],
    ]);
  });
});
