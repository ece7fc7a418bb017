/** Where the tool's text goes. */

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
