/** Requests to the hub: what it answers, or an error that says what to do. The API calls are @huggingface/hub's. */
import type * as hub from '@huggingface/hub';
import type * as undici from 'undici';
import { Sam3TrackerError } from '../core/errors';
import { httpLibrary, openDispatcher } from '../core/http';
import { COMMIT } from './cache';
import type { HubSettings } from './settings';
import { isError } from '../core/kinds';

// Loaded by the first request, since undici alone takes a tenth of a second; by require, since Jest has no import().
/* eslint-disable @typescript-eslint/no-require-imports */
const hubLibrary = () => require('@huggingface/hub') as typeof hub;
/* eslint-enable @typescript-eslint/no-require-imports */

/** A request that may succeed when it is made again: a connection that broke, or a hub in trouble. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  /** How long the hub asked to wait, in milliseconds, or null. */
  readonly retryAfter: number | null;
  /** Whether the hub answered, with a status of 500 or more. */
  readonly isServerError: boolean;

  constructor(
    message: string,
    options: { cause?: unknown; retryAfter?: number | null; isServerError?: boolean } = {},
  ) {
    super(message, options);
    this.retryAfter = options.retryAfter ?? null;
    this.isServerError = options.isServerError ?? false;
  }
}

/** A file of a repository at one commit. */
export interface RemoteFile {
  /** sha256 of a large file's content, git's hash of a small one's: the name of its blob. */
  etag: string;
  /** Bytes. */
  size: number;
}

/** Most files at the top of a repository: a hub may give one page after another for ever. */
const MOST_FILES = 10_000;

/** The hub, asked for one repository. */
export class HubClient {
  readonly #settings: HubSettings;
  readonly #repository: string;
  #dispatcher: undici.Dispatcher | null = null;

  constructor(settings: HubSettings, repository: string) {
    this.#settings = settings;
    this.#repository = repository;
  }

  /**
   * The commit that a revision is now.
   *
   * @throws TransientError; Sam3TrackerError ACCESS_DENIED, REPOSITORY_NOT_FOUND, REVISION_NOT_FOUND, DOWNLOAD_FAILED.
   */
  async resolveCommit(revision: string): Promise<string> {
    const { modelInfo } = hubLibrary();
    const { sha } = await this.#answer(
      modelInfo({
        name: this.#repository,
        revision,
        additionalFields: ['sha'],
        hubUrl: this.#settings.endpoint,
        fetch: this.#ask,
      }),
    );
    if (!COMMIT.test(String(sha)))
      throw new Sam3TrackerError(
        'DOWNLOAD_FAILED',
        `${this.#settings.endpoint} gave no commit for revision ${revision} of ${this.#repository}.`,
      );
    return sha;
  }

  /** The files at the top of the repository at a commit. @throws as `resolveCommit`. */
  async listFiles(commit: string): Promise<Map<string, RemoteFile>> {
    const { listFiles } = hubLibrary();
    const files = new Map<string, RemoteFile>();
    const list = async (): Promise<void> => {
      const entries = listFiles({
        repo: this.#repository,
        revision: commit,
        hubUrl: this.#settings.endpoint,
        fetch: this.#ask,
      });
      for await (const { type, path, size, oid, lfs } of entries) {
        const etag = lfs?.oid ?? oid ?? '';
        if (type !== 'file') continue;
        // The hash becomes a file's name.
        if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(etag) || !Number.isSafeInteger(size) || size < 0)
          throw new Sam3TrackerError(
            'DOWNLOAD_FAILED',
            `${this.#settings.endpoint} gave no usable size and hash for ${path} of ${this.#repository}.`,
          );
        files.set(path, { etag, size });
        if (files.size > MOST_FILES)
          throw new Sam3TrackerError(
            'DOWNLOAD_FAILED',
            `${this.#settings.endpoint} lists more than ${MOST_FILES} files of ${this.#repository}.`,
          );
      }
    };
    await this.#answer(list());
    return files;
  }

  /**
   * A file's bytes from `start` on.
   *
   * @returns the response: status 206 with the bytes asked for, or 200 with all of them.
   * @throws as `resolveCommit`; Sam3TrackerError FILE_NOT_FOUND.
   */
  async open(commit: string, file: string, start: number, signal: AbortSignal): Promise<Response> {
    const name = file.split('/').map(encodeURIComponent).join('/');
    const url = `${this.#settings.endpoint}/${this.#repository}/resolve/${commit}/${name}`;
    // Compression would make ranges and sizes those of something else.
    const headers = { 'accept-encoding': 'identity', ...(start > 0 && { range: `bytes=${start}-` }) };
    return this.#request(url, { headers, signal });
  }

  /** `fetch` as the library takes it, with the time that an answer may take. */
  readonly #ask: typeof fetch = (input, init) =>
    this.#request(input as string, { ...init, signal: AbortSignal.timeout(this.#settings.answerTimeout) });

  async #request(url: string, init: RequestInit): Promise<Response> {
    const { fetch } = httpLibrary();
    this.#dispatcher ??= openDispatcher({ publicOnly: false });
    const { endpoint, token } = this.#settings;
    const headers = new Headers(init.headers);
    // The library's pages of lists come with full URLs; nobody but the hub is to see the token.
    if (token !== null && new URL(url).origin === new URL(endpoint).origin)
      headers.set('authorization', `Bearer ${token}`);
    headers.set('user-agent', 'sam3-tracker; @huggingface/hub');
    let response: Response;
    try {
      response = await fetch(url, {
        ...init,
        headers: Object.fromEntries(headers),
        dispatcher: this.#dispatcher,
      } as never);
    } catch (cause) {
      throw new TransientError(connectionMessage(url, cause), { cause });
    }
    if (!response.ok) throw await this.#errorOf(response);
    return response;
  }

  /** Gives errors of the body (a connection that broke, an answer that is no JSON) their form. */
  async #answer<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (cause) {
      if (cause instanceof TransientError || cause instanceof Sam3TrackerError) throw cause;
      throw new TransientError(connectionMessage(this.#settings.endpoint, cause), { cause });
    }
  }

  async #errorOf(response: Response): Promise<Error> {
    const { status, headers } = response;
    const kind = headers.get('x-error-code');
    // A body that breaks off says less, and the status says what counts.
    const text = headers.get('x-error-message') ?? (await response.text().catch(() => ''));
    const said = text === '' ? '' : ` (${text.slice(0, 300)})`;
    const { endpoint, revision, token } = this.#settings;
    const page = `${endpoint}/${this.#repository}`;
    if (status === 429 || status >= 500) {
      // Seconds; a date is not worth the wait.
      const wait = Number(headers.get('retry-after') ?? NaN);
      return new TransientError(`${new URL(response.url).host} answered with status ${status}${said}`, {
        retryAfter: wait >= 0 ? wait * 1000 : null,
        isServerError: status >= 500,
      });
    }
    if (kind === 'RevisionNotFound')
      return new Sam3TrackerError('REVISION_NOT_FOUND', `${page} has no revision ${revision}.`);
    if (kind === 'EntryNotFound')
      return new Sam3TrackerError('FILE_NOT_FOUND', `${page} has no such file: ${response.url}.`);
    if (kind === 'GatedRepo' || /gated|restricted|awaiting a review/i.test(text))
      return new Sam3TrackerError(
        'ACCESS_DENIED',
        `${this.#repository} is gated: ask for access at ${page}, ` +
          (token === null
            ? 'then log in with "hf auth login", set HF_TOKEN, or pass { token }.'
            : 'with the account that the token belongs to; the token also needs the right to read gated repositories.') +
          said,
      );
    if (kind === 'RepoNotFound' || status === 404)
      return new Sam3TrackerError(
        'REPOSITORY_NOT_FOUND',
        `There is no model ${page}, or it is private: then pass a { token } that may read it.${said}`,
      );
    if (status === 401 || status === 403)
      return new Sam3TrackerError(
        'ACCESS_DENIED',
        token === null
          ? `${page} asks for a token: log in with "hf auth login", set HF_TOKEN, or pass { token }.${said}`
          : `${page} refused the token: it may be wrong, expired, or without the right to read this repository.${said}`,
      );
    return new Sam3TrackerError('DOWNLOAD_FAILED', `${response.url} answered with status ${status}${said}.`);
  }
}

function connectionMessage(url: string, error: unknown): string {
  let reason: unknown = error;
  while (isError(reason) && isError(reason.cause)) reason = reason.cause;
  const { message, code } = reason as { message?: string; code?: unknown };
  const known = typeof code === 'string' && !message?.includes(code) ? ` (${code})` : '';
  return `${new URL(url).host} cannot be reached: ${message || String(reason)}${known}`;
}
