/** Ending work early by an AbortSignal. */

/**
 * Settles as `promise` does, or rejects with the signal's reason as soon as it is aborted: native work that is under
 * way ends later, by itself or by the same signal, and its result is handed to `discard`.
 */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | null,
  discard: (result: T) => void = () => undefined,
): Promise<T> {
  if (!signal) return promise;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  if (signal.aborted) stop();
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    if (signal.aborted) promise.then(discard, () => undefined); // the caller has its error: what comes later is nobody's
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
