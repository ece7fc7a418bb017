/** Pictures on their way into a pipeline. */
import { Sam3TrackerError } from '../core/errors';
import { RawImage, type RawImageInput } from '../image/raw-image';
import { abortable } from '../core/async';
import type { MaskGenerationSettings } from './mask-generation-options';

/**
 * Reads a picture.
 *
 * @param input whatever RawImage.read takes.
 * @param settings of the call.
 * @param settings.timeout seconds to wait for what is fetched.
 * @param settings.signal ends it early.
 * @throws as RawImage.read; Sam3TrackerError DOWNLOAD_FAILED after the timeout; the signal's reason.
 */
export async function readImage(
  input: RawImageInput,
  { timeout, signal }: Pick<MaskGenerationSettings, 'timeout' | 'signal'>,
): Promise<RawImage> {
  signal?.throwIfAborted();
  // Only what is fetched can keep one waiting.
  if (typeof input !== 'string' && !(input instanceof URL)) return abortable(RawImage.read(input), signal);
  const end = new AbortController();
  const onAbort = (): void => end.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort);
  const failure = new Sam3TrackerError(
    'DOWNLOAD_FAILED',
    `The image ${String(input).slice(0, 100)} could not be fetched within the timeout of ${timeout} seconds.`,
  );
  const timer = timeout === null ? undefined : setTimeout(() => end.abort(failure), 1000 * timeout);
  try {
    return await abortable(RawImage.read(input, { signal: end.signal }), end.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
