/** Instances that are called like functions, as Python's `__call__` allows and transformers.js does. */

/** The call signature of `Callable`: the constructor returns the function that has it. */
export interface Callable<Args extends unknown[], Result> {
  (...args: Args): Result;
}

/**
 * Base of a class whose instances are functions: `instance(...args)` runs `_call(...args)`. An instance is a function
 * object whose prototype is the class, so fields, methods and `instanceof` work as usual.
 */
export abstract class Callable<Args extends unknown[], Result> {
  constructor() {
    const instance = ((...args: Args): Result => instance._call(...args)) as unknown as this;
    return Object.setPrototypeOf(instance, new.target.prototype) as this;
  }

  /** What a call runs. */
  protected abstract _call(...args: Args): Result;
}

/**
 * Callable for classes that declare their own call signatures: its signature, which has no way to infer results, would
 * let any arguments compile.
 */
export const UntypedCallable = Callable as abstract new () => object;
