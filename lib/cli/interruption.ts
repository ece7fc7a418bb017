/** Ctrl-C, and the end that a system asks for, as a signal that lets work finish what it has begun. */
import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Listens from its making to its disposal. The second time the process ends at once. */
export class Interruption {
  readonly #controller = new AbortController();
  #exitCode: number | null = null;
  readonly #listener = (name: NodeJS.Signals): void => {
    this[Symbol.dispose]();
    this.#exitCode = 128 + constants.signals[name];
    this.#controller.abort();
  };

  /** Begins to listen. */
  constructor() {
    for (const name of SIGNALS) process.on(name, this.#listener);
  }

  /** Is aborted by the first interruption. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What shells expect of a process that was interrupted so; null where it was not. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  /** Gives the signals back to whoever had them. Safe twice. */
  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#listener);
  }
}
