/**
 * The errors of this package: TypeError for a wrong kind, RangeError for a wrong value (they stand for Python's
 * TypeError and ValueError), Sam3TrackerError with a `code` for the rest.
 */
import { types } from 'node:util';

/** What went wrong, in a form that a program can compare. */
export type ErrorCode =
  | 'DISPOSED'
  | 'DEVICE_UNAVAILABLE'
  | 'OUT_OF_MEMORY'
  | 'FILE_NOT_FOUND'
  | 'FILE_INVALID'
  | 'FILE_NOT_READ'
  | 'FILE_NOT_WRITTEN'
  | 'HASH_MISMATCH'
  | 'GRAPHS_NOT_FOUND'
  | 'WEIGHTS_MISSING'
  | 'WEIGHTS_UNEXPECTED'
  | 'WEIGHTS_SHAPE'
  | 'CONFIG_MISMATCH'
  | 'IMAGE_INVALID'
  | 'IMAGE_TOO_LARGE'
  | 'DOWNLOAD_FAILED'
  | 'ACCESS_DENIED'
  | 'REPOSITORY_NOT_FOUND'
  | 'REVISION_NOT_FOUND'
  | 'ADDON_NOT_LOADED'
  | 'LIBTORCH_NOT_FOUND'
  | 'NODE_TOO_OLD'
  | 'ENVIRONMENT_CLOSING'
  | 'NATIVE_ERROR';

/** Characters of a message: whatever it quotes, a log stays readable. The longest of this package's own has about 2,000. */
const MAX_MESSAGE = 8000;

/** Text of at most so many characters; of a longer one the middle is left out. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  const head = Math.ceil((most - 3) * 0.6);
  return `${text.slice(0, head)}...${text.slice(text.length - (most - 3 - head))}`;
}

/**
 * A path or URL for messages, without what may be a secret: a login, a query, a fragment; also of what only looks like a
 * URL. A data: URL has none.
 */
export function withoutSecrets(source: string): string {
  if (/^https?:/i.test(source) && URL.canParse(source)) {
    const { origin, pathname, search } = new URL(source);
    return `${origin}${pathname}${search && '?...'}`;
  }
  const [, scheme, rest] = /^(\s*(?:[a-z][a-z\d+.-]+:\/*|\/\/))(.*)$/is.exec(source) ?? [];
  if (scheme === undefined || /^\s*data:/i.test(scheme)) return source;
  const end = rest.search(/[?#]/);
  const shown = end < 0 ? rest : rest.slice(0, end);
  const [authority] = shown.split('/', 1);
  // A password may hold a slash: what has a colon may go on behind it.
  const isHost = /^[^@:]*$|^\[[^@]*$/.test(authority);
  const login = isHost ? -1 : shown.lastIndexOf('@', authority.includes('@') ? authority.length : Infinity);
  return `${scheme}${shown.slice(login + 1)}${end < 0 ? '' : '?...'}`;
}

/** Numbers in brackets, for messages that name dims. */
export function bracketed(numbers: readonly unknown[]): string {
  return `[${shorten(numbers.join(', '), 100)}]`;
}

/** An error that is neither of kind (TypeError) nor of value (RangeError). */
export class Sam3TrackerError extends Error {
  /** The class's name. */
  override readonly name = 'Sam3TrackerError';
  /** What went wrong, for programs. */
  readonly code: ErrorCode;

  /** An error of a kind, with what to do about it in its message, and the error behind it, if any, as `cause`. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(shorten(message, MAX_MESSAGE), options);
    this.code = code;
  }
}

/** Characters that a described value may have. */
const MAX_DESCRIPTION = 200;

/** A short description of any value for an error message: never throws, never longer than a line. */
export function describe(value: unknown): string {
  return shorten(describeLevel(value, 5), MAX_DESCRIPTION);
}

function describeLevel(value: unknown, levels: number): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return JSON.stringify(shorten(withoutSecrets(value), 60));
  if (typeof value === 'bigint') return `${shorten(String(value), 60)}n`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  if (!Array.isArray(value)) {
    const { type, dims } = value as { type?: unknown; dims?: unknown };
    // Of a Tensor it is mostly these that are wrong.
    const isArrayLike = typeof type === 'string' && Array.isArray(dims);
    return isArrayLike ? `${typeName(value)}(${type}, [${dims.join(', ')}])` : typeName(value);
  }
  if (levels === 0) return '[...]';
  const items = value.slice(0, 4).map((item) => describeLevel(item, levels - 1));
  return `[${items.join(', ')}${value.length > 4 ? ', ...' : ''}]`;
}

/** The type of a value as error messages name it: `null`, `Array`, the constructor's name, or `typeof`. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (types.isPromise(value)) return 'Promise (did you forget await?)';
  if (typeof value !== 'object') return typeof value;
  const name: unknown = value.constructor?.name;
  return typeof name === 'string' && name !== '' ? shorten(name, 60) : 'object';
}

/** The one sentence for every refused value. */
export function expectedMessage(what: string, name: string, value: unknown, remedy?: string): string {
  if (types.isPromise(value))
    return `Expected ${what} for ${name} but received a Promise: did you forget await?`;
  return `Expected ${what} for ${name} but received ${describe(value)} of type ${typeName(value)}.${remedy ? ` ${remedy}` : ''}`;
}

/** What to say where something that is needed is not there: spreading a promise, or reading its fields, gives nothing. */
export const FORGOTTEN_AWAIT = '`{ ...promise }` and `promise.name` hold nothing: did you forget await?';

/** A TypeError that says what was expected: for a value of the wrong kind. */
export function wrongType(what: string, name: string, value: unknown, remedy?: string): TypeError {
  return new TypeError(expectedMessage(what, name, value, remedy));
}

/** A RangeError that says what was expected: for a value of the right kind outside its range. */
export function wrongValue(what: string, name: string, value: unknown, remedy?: string): RangeError {
  return new RangeError(expectedMessage(what, name, value, remedy));
}
