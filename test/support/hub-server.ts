/** A Hugging Face hub on loopback: the calls that a download makes, a store of its own origin for large files, and faults. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer to a request for a range. */
export interface RangeAnswer {
  status: number;
  /** The header content-range; none where it is left out. */
  range?: string;
  body: Buffer;
}

/** What the server does wrong, changed while it runs. */
export interface Faults {
  /** Of each response of the store: how many bytes go out before the connection is cut; null for all. */
  cutAfter: (request: number) => number | null;
  /** What the store answers to a request for the content from a byte on; null for what is right. */
  answerRange: ((start: number, content: Buffer) => RangeAnswer) | null;
  /** What the store has instead of a file, told how many requests there were. */
  corrupt: ((content: Buffer, request: number) => Buffer) | null;
  /** Statuses of the next answers, first to last: for hub and store; null for one as it should be. */
  statuses: (number | null)[];
  /** The store sends the headers and then nothing. */
  stalls: boolean;
}

const NO_FAULTS: Faults = {
  cutAfter: () => null,
  answerRange: null,
  corrupt: null,
  statuses: [],
  stalls: false,
};

/** The right answer to a request for a range. */
export const partFrom = (start: number, content: Buffer): RangeAnswer => ({
  status: 206,
  range: `bytes ${start}-${content.length - 1}/${content.length}`,
  body: content.subarray(start),
});

/** One request as the tests look at it. */
export interface SeenRequest {
  /** 'hub' or 'store'. */
  to: string;
  path: string;
  authorization: string | undefined;
  range: string | undefined;
}

/** A repository with one commit, on the branch main and under the tag v1. */
export interface Repository {
  files: Map<string, Buffer>;
  /** Only requests with this token may have files. */
  gatedBy?: string;
}

const hex = (kind: string, ...parts: (Buffer | string)[]): string => {
  const hash = createHash(kind);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** The hash under which the hub keeps a small file: git's. */
export const gitHash = (content: Buffer): string => hex('sha1', `blob ${content.length}\0`, content);

/** The hash under which the hub keeps a large file. */
export const sha256 = (content: Buffer): string => hex('sha256', content);

/** Whether the hub would keep a file in its store. */
export const isLarge = (name: string): boolean => name.endsWith('.safetensors');

/** The server: hub and store are told apart by the name that it is called with, 127.0.0.1 or localhost. */
export class HubServer {
  readonly repositories = new Map<string, Repository>();
  readonly faults: Faults = { ...NO_FAULTS };
  seen: SeenRequest[] = [];
  /** Bytes of content that went out from the store. */
  storeBytes = 0;
  /** The files of the commits that were asked for: they stay what they were. */
  readonly #commits = new Map<string, Map<string, Buffer>>();
  readonly #server: Server;
  #storeRequests = 0;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** Starts one on a free port. */
  static async start(): Promise<HubServer> {
    const server = new HubServer();
    server.#server.listen(0);
    await once(server.#server, 'listening');
    return server;
  }

  /** The hub's address, for HF_ENDPOINT. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The commit of a repository. */
  commit(id: string): string {
    return hex('sha1', id, ...[...this.repositories.get(id)!.files].flat());
  }

  /** Requests for content, to the store. */
  get storeRequests(): SeenRequest[] {
    return this.seen.filter(({ to }) => to === 'store');
  }

  /** Forgets what was seen, and every fault. */
  reset(): void {
    this.seen = [];
    this.storeBytes = 0;
    this.#storeRequests = 0;
    Object.assign(this.faults, NO_FAULTS, { statuses: [] });
  }

  /** Closes every connection and ends. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const to = request.headers.host?.startsWith('localhost') ? 'store' : 'hub';
    const { authorization, range } = request.headers;
    const url = new URL(request.url ?? '/', this.endpoint);
    this.seen.push({ to, path: url.pathname, authorization, range });
    const status = this.faults.statuses.shift() ?? null;
    if (status !== null) {
      response.writeHead(status, { 'retry-after': '0' }).end('in trouble');
      return;
    }
    if (to === 'store') this.#sendContent(url.pathname.slice(1), range, response);
    else this.#answerHub(decodeURIComponent(url.pathname), authorization, response);
  }

  #answerHub(path: string, authorization: string | undefined, response: ServerResponse): void {
    const refuse = (status: number, code: string, message: string): void => {
      const headers = {
        'x-error-code': code,
        'x-error-message': message,
        'content-type': 'application/json',
      };
      response.writeHead(status, headers).end(JSON.stringify({ error: message }));
    };
    const json = (value: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const match =
      /^(?:\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/?]+)|\/([^/]+\/[^/]+)\/(resolve)\/([^/]+)\/(.+))$/.exec(
        path,
      );
    const [id, call, revision] = match?.[1] ? match.slice(1, 4) : (match?.slice(4, 7) ?? []);
    const repository = this.repositories.get(id);
    if (authorization !== undefined && !/^Bearer hf_/.test(authorization))
      return refuse(401, '', 'Invalid credentials in Authorization header');
    if (repository === undefined) return refuse(401, 'RepoNotFound', 'Repository not found');
    const current = this.commit(id);
    this.#commits.set(current, new Map(repository.files));
    const commit = ['main', 'v1'].includes(revision) ? current : revision;
    const files = this.#commits.get(commit);
    if (files === undefined) return refuse(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    if (call === 'revision')
      return json({ _id: '1', id, sha: commit, lastModified: '2026-01-01T00:00:00.000Z', siblings: [] });
    if (call === 'tree') return json(treeOf(files));
    if (repository.gatedBy !== undefined && authorization !== `Bearer ${repository.gatedBy}`)
      return refuse(
        authorization === undefined ? 401 : 403,
        'GatedRepo',
        `Access to model ${id} is restricted.`,
      );
    const name = match![7];
    const content = files.get(name);
    if (content === undefined) return refuse(404, 'EntryNotFound', 'Entry not found');
    const large = isLarge(name);
    const etag = large ? sha256(content) : gitHash(content);
    // What huggingface_hub reads.
    const headers = {
      etag: `"${etag}"`,
      'x-repo-commit': commit,
      'x-linked-etag': `"${etag}"`,
      'x-linked-size': String(content.length),
    };
    const store = this.endpoint.replace('127.0.0.1', 'localhost');
    if (large) response.writeHead(302, { ...headers, location: `${store}/${etag}` }).end();
    else response.writeHead(200, { ...headers, 'content-length': content.length }).end(content);
  }

  #sendContent(etag: string, range: string | undefined, response: ServerResponse): void {
    const all = [...this.#commits.values()].flatMap((files) => [...files.values()]);
    let content = all.find((file) => sha256(file) === etag)!;
    const request = this.#storeRequests++;
    const { corrupt, answerRange, cutAfter } = this.faults;
    if (corrupt) content = corrupt(content, request);
    const start = /^bytes=(\d+)-$/.exec(range ?? '')?.[1];
    const answer =
      start === undefined
        ? { status: 200, body: content }
        : (answerRange ?? partFrom)(Number(start), content);
    const { body } = answer;
    response.writeHead(answer.status, {
      'content-length': body.length,
      ...('range' in answer && { 'content-range': answer.range }),
      ...(answer.status >= 500 && { 'retry-after': '0' }),
    });
    const cut = cutAfter(request);
    if (this.faults.stalls) {
      response.write(body.subarray(0, 10));
      return;
    }
    if (cut === null || cut >= body.length) {
      this.storeBytes += body.length;
      response.end(body);
      return;
    }
    this.storeBytes += cut;
    response.write(body.subarray(0, cut), () => response.socket?.end());
  }
}

function treeOf(files: Map<string, Buffer>): object[] {
  const entries = [...files].map(([path, content]) => ({
    type: 'file',
    path,
    size: content.length,
    oid: gitHash(content),
    ...(isLarge(path) && { lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } }),
  }));
  return [{ type: 'directory', path: 'assets', size: 0, oid: '0'.repeat(40) }, ...entries];
}
