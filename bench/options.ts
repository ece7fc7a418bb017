/** What the command line decided, for every part. */

/** Options of a run. */
export interface BenchOptions {
  /** Small model only, fewer repetitions. */
  quick: boolean;
  /** Repetitions of what takes long (load, encode of the full size); null for each part's own number. */
  runs: number | null;
  /** Threads of one operation, the same on every side. */
  threads: number;
  /** An empty directory, removed at the end. */
  scratch: string;
  /** Says what is going on. */
  progress: (what: string) => void;
}
