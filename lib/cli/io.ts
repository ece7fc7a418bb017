/** What the commands have of their process: its streams, its exit code, and its interruption. */
import { constants } from 'node:os';
import { Writable } from 'node:stream';
import { Sam3TrackerError } from '../core/errors';
import { RawImage } from '../image/raw-image';
import { printable } from './text';

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

/** The streams of a command: what is written to them has no control characters. */
export interface CommandOutput extends Output {
  /** Standard error itself where it is a terminal, for bars and for programs that draw their own. */
  terminal?: Writable;
}

/** What standard input gives. */
export type Input = AsyncIterable<Uint8Array | string>;

/** What a command has of the program. */
export interface CommandContext {
  output: CommandOutput;
  input: Input;
  /** Prints an error, with its stack where `debug` asks for it. */
  report: (error: unknown, debug: boolean) => void;
  /** Sets the exit code. */
  finish: (code: number) => void;
}

/** The streams of a command over those of the program. */
export function commandOutput({ stdout, stderr }: Output): CommandOutput {
  const safe = (sink: TextSink): TextSink => ({ write: (text) => sink.write(printable(text)) });
  const isTerminal = stderr instanceof Writable && 'isTTY' in stderr && stderr.isTTY === true;
  return { stdout: safe(stdout), stderr: safe(stderr), terminal: isTerminal ? stderr : undefined };
}

/** What the command line names standard input. */
export const STDIN = '-';

/** Far above any image's file. */
const MOST_INPUT = 1 << 28;

/** All of standard input. @throws Sam3TrackerError IMAGE_TOO_LARGE for more than an image's file may have. */
export async function readInput(input: Input): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of input) {
    parts.push(Buffer.from(part as Uint8Array));
    bytes += part.length;
    if (bytes > MOST_INPUT)
      throw new Sam3TrackerError('IMAGE_TOO_LARGE', `Standard input has more than ${MOST_INPUT} bytes.`);
  }
  return Buffer.concat(parts);
}

/** Reads an image that the command line names. @throws as RawImage.read; Sam3TrackerError IMAGE_TOO_LARGE. */
export async function readImage(name: string, input: Input): Promise<RawImage> {
  return RawImage.read(name === STDIN ? await readInput(input) : name);
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
