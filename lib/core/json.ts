/**
 * JSON as Python's `json.dumps(value, indent=2, sort_keys=True)` writes it, so that a file saved here and one saved by
 * transformers are the same bytes. Python tells 1.0 from 1 and transformers refuses the wrong one; JavaScript has no
 * such difference, so what must stay a float is marked with `PythonFloat`.
 */

/** A number that JSON must show as a float: 1 becomes `1.0`. */
export class PythonFloat {
  constructor(readonly value: number) {}
}

/** A float as Python's `repr` writes it: `10000.0`, `1e-06`, `1e+16`. */
export function floatRepr(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  if (value === 0) return '0.0';
  const [mantissa, exponentText] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16)
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  const negative = mantissa.startsWith('-');
  const digits = mantissa.replace(/[-.]/g, '');
  const point = exponent + 1;
  const text =
    point <= 0
      ? `0.${'0'.repeat(-point)}${digits}`
      : `${digits.slice(0, point).padEnd(point, '0')}.${digits.slice(point) || '0'}`;
  return negative ? `-${text}` : text;
}

function numberText(value: number, isFloat: boolean, indent: string): string {
  // transformers writes the floats that JSON has no form for as an object.
  if (!Number.isFinite(value)) return toPythonJson({ __float__: String(value) }, indent);
  return isFloat || !Number.isInteger(value) ? floatRepr(value) : BigInt(value).toString();
}

function stringText(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Writes a value as Python would, keys sorted, indented by two spaces, characters beyond ASCII escaped.
 *
 * @throws TypeError for what JSON cannot hold: functions, symbols, undefined.
 */
export function toPythonJson(value: unknown, indent = ''): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return stringText(value);
  if (typeof value === 'number') return numberText(value, false, indent);
  if (value instanceof PythonFloat) return numberText(value.value, true, indent);
  const inner = `${indent}  `;
  const block = (open: string, items: string[], close: string): string =>
    items.length === 0 ? open + close : `${open}\n${inner}${items.join(`,\n${inner}`)}\n${indent}${close}`;
  if (Array.isArray(value))
    return block(
      '[',
      // A hole is undefined, which JSON cannot hold; map would leave it out.
      Array.from(value, (item) => toPythonJson(item, inner)),
      ']',
    );
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return block(
      '{',
      entries.map(([key, item]) => `${stringText(key)}: ${toPythonJson(item, inner)}`),
      '}',
    );
  }
  throw new TypeError(`A value of type ${typeof value} cannot be written as JSON.`);
}

/** Whether two values are the same JSON, whichever realm made them; undefined is like itself alone. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return toPythonJson(a) === toPythonJson(b);
}

/** Puts back the floats that `toPythonJson` and transformers write as `{"__float__": "NaN"}`. */
export function decodeSpecialFloats(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeSpecialFloats);
  if (typeof value !== 'object' || value === null) return value;
  const keys = Object.keys(value);
  const tag = (value as Record<string, unknown>)['__float__'];
  if (keys.length === 1 && (tag === 'NaN' || tag === 'Infinity' || tag === '-Infinity')) return Number(tag);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decodeSpecialFloats(item)]));
}

/** Canonical JSON (RFC 8785): keys sorted, no white space, numbers as ECMAScript writes them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}
