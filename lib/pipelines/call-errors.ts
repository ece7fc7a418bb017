/** Which errors of one image among several are the call's own. */
import type { MaskGenerationOptions } from './mask-generation-options';

type ProgressCallback = MaskGenerationOptions['progress_callback'];

/** A caller's progress callback, and whether it has thrown: that ends a call, whichever image it is at. */
export interface WatchedCallback {
  /** To be called in its place. */
  readonly progress_callback: Exclude<ProgressCallback, undefined>;
  /** Whether it has thrown. */
  threw: boolean;
}

/** Watches a progress callback. */
export function watchCallback(callback: ProgressCallback): WatchedCallback {
  if (!callback) return { progress_callback: null, threw: false };
  const watched: WatchedCallback = {
    threw: false,
    progress_callback: (progress) => {
      try {
        callback(progress);
      } catch (error) {
        watched.threw = true;
        throw error;
      }
    },
  };
  return watched;
}
