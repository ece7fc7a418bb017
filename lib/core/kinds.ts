/**
 * What a value is, whichever realm made it. Jest, `vm` and a second copy of this package have classes of their own, for
 * which `instanceof` says no; ESLint forbids it for JavaScript's own classes. node:util's `types` knows the other kinds.
 */
import { types } from 'node:util';
import { Sam3TrackerError } from './errors';
import { PACKAGE_MANIFEST } from './package';

type Class = abstract new (...args: never[]) => object;

const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
) as { get: () => string | undefined };

/** Whether a value is a typed array of one of the classes; a Buffer is a Uint8Array. */
export function isArrayOf<C extends Class[]>(
  value: unknown,
  ...classes: C
): value is InstanceType<C[number]> {
  // The name that the array itself holds, which no other object can claim.
  const name = typedArrayTag.get.call(value);
  return name !== undefined && classes.some((one) => one.name === name);
}

function hasTag(value: unknown, ...tags: string[]): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    tags.includes(Object.prototype.toString.call(value).slice('[object '.length, -1))
  );
}

/** Whether a value is an Error of any class (its `name` tells which), or a DOMException. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || hasTag(value, 'DOMException');
}

/** Whether a value is a URL object. */
export function isURL(value: unknown): value is URL {
  return hasTag(value, 'URL');
}

/** Whether a value is a Blob or a File. */
export function isBlob(value: unknown): value is Blob {
  return hasTag(value, 'Blob', 'File') && typeof (value as Blob).arrayBuffer === 'function';
}

/** Whether a value is an AbortSignal with all that Node's have. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return hasTag(value, 'AbortSignal') && typeof (value as AbortSignal).throwIfAborted === 'function';
}

/**
 * Lets `instanceof` of a class take what another copy of this version made, as Jest's module registry or a bundle beside
 * node_modules bring it. For classes whose instances use no private names of one another.
 *
 * @param ownClass the class; its subclasses keep the usual `instanceof`.
 * @param name its name, which a bundler may change.
 */
export function acceptCopies(ownClass: Class, name: string): void {
  const mark = Symbol.for(`${PACKAGE_MANIFEST.name}@${PACKAGE_MANIFEST.version}/${name}`);
  Object.defineProperty(ownClass.prototype, mark, { value: true });
  Object.defineProperty(ownClass, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (this !== ownClass) return Function.prototype[Symbol.hasInstance].call(this as never, value);
      return ((typeof value === 'object' && value !== null) || typeof value === 'function') && mark in value;
    },
  });
}

// Here and not beside the class: this file comes after it.
acceptCopies(Sam3TrackerError, 'Sam3TrackerError');
