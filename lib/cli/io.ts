/** What the commands have of their process: its streams, its exit code, and its interruption. */
import { constants } from 'node:os';

/** A stream as far as the tool writes to it. */
export interface TextSink {
  /** Appends text. */
  write(text: string): unknown;
}

/** The two streams of a process. */
export interface Output {
  /** Results. */
  stdout: TextSink;
  /** Messages and errors. */
  stderr: TextSink;
}

/** What a command has of the program. */
export interface CommandContext {
  output: Output;
  /** Prints an error, with its stack where `debug` asks for it. */
  report: (error: unknown, debug: boolean) => void;
  /** Sets the exit code. */
  finish: (code: number) => void;
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Ctrl-C, and the end that a system asks for, as a signal that lets work finish what it has begun. Listens from its
 * making to its disposal. The second time the process ends at once.
 */
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
