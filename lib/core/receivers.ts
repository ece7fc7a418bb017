/** Methods that were taken from their object: `const { forward } = model; forward(inputs)`. */

type Method = (...args: unknown[]) => unknown;

function guard(owner: object, key: string, isReceiver: (value: unknown) => boolean, message: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(owner, key) as PropertyDescriptor;
  if (typeof descriptor.value !== 'function') return;
  const method = descriptor.value as Method;
  const guarded = {
    [key](this: unknown, ...args: unknown[]): unknown {
      if (!isReceiver(this)) throw new TypeError(message);
      return Reflect.apply(method, this, args);
    },
  }[key];
  Object.defineProperty(guarded, 'length', { value: method.length });
  Object.defineProperty(owner, key, { ...descriptor, value: guarded });
}

/**
 * Makes the methods of a class say so where they are called without their object.
 *
 * @param constructor the class, once its definition is complete; subclasses' own methods are theirs.
 * @param statics its static methods that need the class; the others work without.
 */
export function guardMethods(
  constructor: abstract new (...args: never[]) => object,
  statics: readonly string[] = [],
): void {
  const { name } = constructor;
  const prototype = constructor.prototype as object;
  for (const key of Object.getOwnPropertyNames(prototype))
    if (key !== 'constructor')
      guard(
        prototype,
        key,
        (value) => value instanceof constructor,
        `${name}.${key} was called without its object: call it as object.${key}(...), or bind it.`,
      );
  for (const key of statics)
    guard(
      constructor,
      key,
      (value) =>
        typeof value === 'function' && (value === constructor || value.prototype instanceof constructor),
      `${name}.${key} was called without its class: call it as ${name}.${key}(...).`,
    );
}
