/** Where the Hugging Face hub is, where its cache lies and with whose token: options first, then huggingface_hub's variables. */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { wrongType, wrongValue } from '../core/errors';
import { expandUser, readingOrNull } from '../core/files';
import { checkBoolean, checkString } from '../core/options';

/** How far the download of one file is; the names are those of transformers.js. */
export interface DownloadProgress {
  /** 'initiate' once before a file's first byte, 'progress' while it arrives, 'done' when it is checked and in place. */
  status: 'initiate' | 'progress' | 'done';
  /** The repository, such as 'facebook/sam3'. */
  name: string;
  /** The file's name in the repository. */
  file: string;
  /** Bytes that are here, those of an earlier attempt included. */
  loaded: number;
  /** Bytes of the whole file. */
  total: number;
  /** loaded / total in percent, 0 to 100. */
  progress: number;
}

/**
 * Options of transformers' and transformers.js' `from_pretrained` that mean nothing here, whatever they say: they are taken
 * and ignored. docs/migrating.md has the reasons.
 */
export interface IgnoredOptions {
  /** Weights are mapped, so that loading takes no second copy of them. */
  low_cpu_mem_usage?: unknown;
  /** As `low_cpu_mem_usage`. */
  _fast_init?: unknown;
  /** Nothing is moved out of memory to a disk. */
  offload_folder?: unknown;
  /** As `offload_folder`. */
  offload_state_dict?: unknown;
  /** As `offload_folder`. */
  offload_buffers?: unknown;
  /** Weights are safetensors files, always. */
  use_safetensors?: true | null;
  /** As `use_safetensors`: they hold nothing else. */
  weights_only?: unknown;
  /** No code of a repository is run. */
  trust_remote_code?: unknown;
  /** A download that was cut goes on where it ended, always. */
  resume_download?: unknown;
  /** There is one image processor. */
  use_fast?: unknown;
  /** ONNX Runtime's, which is not used. */
  session_options?: unknown;
  /** As `session_options`. */
  use_external_data_format?: unknown;
}

const IGNORED_OPTIONS = [
  'low_cpu_mem_usage',
  '_fast_init',
  'offload_folder',
  'offload_state_dict',
  'offload_buffers',
  'use_safetensors',
  'weights_only',
  'trust_remote_code',
  'resume_download',
  'use_fast',
  'session_options',
  'use_external_data_format',
] as const;

/** Options of transformers and transformers.js that would change the result, and what there is here: only "no" is taken. */
export const ABSENT_OPTIONS: Readonly<Record<string, string>> = {
  ignore_mismatched_sizes: 'Weights of other shapes are refused.',
  output_loading_info: 'A checkpoint loads whole, or not at all.',
  quantized: 'Weights are float32, float16 or bfloat16: see dtype.',
  quantization_config: 'Weights are float32, float16 or bfloat16: see dtype.',
  subfolder: 'A model is at the top of its repository or directory.',
  variant: 'A repository has one set of weights.',
  model_file_name: 'A repository has one set of weights.',
  state_dict: 'Weights come from files.',
  key_mapping: 'Weights have the names of the tracker, or of a sam3_video checkpoint.',
  proxies: 'Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY.',
  mirror: 'HF_ENDPOINT names another hub.',
  use_auth_token: 'Its name is token.',
  use_kernels: 'There are no kernels to choose.',
  tp_plan: 'A model is on one device.',
};

/** Options of every `from_pretrained` for models on the Hugging Face hub; a directory needs none of them. */
export interface HubOptions extends IgnoredOptions {
  /**
   * An access token; true for the saved one, which has to be there; false or null for none. Default: HF_TOKEN, else the
   * one that `hf auth login` saved, if any.
   */
  token?: string | boolean | null;
  /** A branch, a tag or a commit; default 'main'. */
  revision?: string;
  /**
   * The hub's cache directory, in which a leading ~ is the home; default HF_HUB_CACHE, else `$HF_HOME/hub`, else
   * `~/.cache/huggingface/hub`.
   */
  cache_dir?: string;
  /** Take what the cache has, and use no network; default false, or what HF_HUB_OFFLINE says. */
  local_files_only?: boolean;
  /** Download again what is in the cache; default false. */
  force_download?: boolean;
  /** Called while files are downloaded, at most ten times a second for each. An error that it throws ends the download. */
  progress_callback?: (progress: DownloadProgress) => void;
}

/** The names in `HubOptions`. */
export const HUB_OPTIONS: readonly string[] = [
  'token',
  'revision',
  'cache_dir',
  'local_files_only',
  'force_download',
  'progress_callback',
  ...IGNORED_OPTIONS,
  ...Object.keys(ABSENT_OPTIONS),
];

/** `HubOptions` with every default filled in. */
export interface HubSettings {
  /** Without a slash at its end. */
  endpoint: string;
  token: string | null;
  revision: string;
  cacheDir: string;
  /** Why the network is not to be used, or null. */
  offline: string | null;
  forceDownload: boolean;
  /** How long the hub may take to answer a question, in milliseconds. */
  answerTimeout: number;
  /** How long a download may stall, in milliseconds. */
  stallTimeout: number;
  progress: (progress: DownloadProgress) => void;
}

/**
 * Takes the options of the hub out of a larger options object.
 *
 * @returns the hub's options, and the rest.
 * @throws RangeError for use_safetensors false and for a value of `ABSENT_OPTIONS`, which ask for what there is not.
 */
export function splitHubOptions<T extends object>(options: T): [HubOptions, Omit<T, keyof HubOptions>] {
  const entries = Object.entries(options);
  if ((options as HubOptions).use_safetensors === (false as unknown))
    throw wrongValue('true', 'use_safetensors', false, 'Weights are read from safetensors files alone.');
  for (const [name, value] of entries)
    if (Object.hasOwn(ABSENT_OPTIONS, name) && ![null, undefined, false, ''].includes(value as null))
      throw wrongValue('nothing, null or false', name, value, ABSENT_OPTIONS[name]);
  const isHub = ([name]: [string, unknown]): boolean => HUB_OPTIONS.includes(name);
  const rest = Object.fromEntries(entries.filter((entry) => !isHub(entry)));
  return [Object.fromEntries(entries.filter(isHub)), rest as Omit<T, keyof HubOptions>];
}

/**
 * Checks the options and fills in what they leave to the environment.
 *
 * @throws TypeError for an option of another kind; RangeError for an empty or impossible revision, for `token: true`
 *   where none is saved, and for a variable of the environment that cannot be understood; Sam3TrackerError FILE_NOT_READ
 *   for a saved token that cannot be read.
 */
export async function readHubSettings(options: HubOptions): Promise<HubSettings> {
  const { progress_callback } = options;
  if (progress_callback !== undefined && typeof progress_callback !== 'function')
    throw wrongType('a function', 'progress_callback', progress_callback);
  const offline = checkBoolean(options.local_files_only ?? false, 'local_files_only')
    ? 'local_files_only is set'
    : offlineVariable();
  return {
    endpoint: endpoint(),
    token: await accessToken(options.token),
    revision: checkRevision(options.revision ?? 'main'),
    cacheDir: path.resolve(
      options.cache_dir === undefined
        ? defaultCache()
        : expandUser(checkString(options.cache_dir, 'cache_dir')),
    ),
    offline,
    forceDownload: checkBoolean(options.force_download ?? false, 'force_download'),
    answerTimeout: seconds('HF_HUB_ETAG_TIMEOUT') * 1000,
    stallTimeout: seconds('HF_HUB_DOWNLOAD_TIMEOUT') * 1000,
    progress: progress_callback ?? (() => {}),
  };
}

function variable(name: string): string | undefined {
  return process.env[name] === '' ? undefined : process.env[name];
}

/** A path from the environment as huggingface_hub reads it: os.path.expandvars after expanduser. */
function expand(text: string): string {
  return expandUser(text).replace(
    /\$(?:\{([^}]*)\}|(\w+))/g,
    (whole, braced?: string, plain?: string) => process.env[braced ?? plain ?? ''] ?? whole,
  );
}

function hubHome(): string {
  const cache = variable('XDG_CACHE_HOME') ?? path.join(os.homedir(), '.cache');
  return expand(variable('HF_HOME') ?? path.join(cache, 'huggingface'));
}

/** The cache directory that the environment names. */
export function defaultCache(): string {
  const named = variable('HF_HUB_CACHE') ?? variable('HUGGINGFACE_HUB_CACHE');
  return expand(named ?? path.join(hubHome(), 'hub'));
}

/** The hub that the environment names. @throws RangeError for anything but an http(s) URL without a login. */
export function endpoint(): string {
  const text = variable('HF_ENDPOINT') ?? 'https://huggingface.co';
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw wrongValue('an http(s) URL', 'HF_ENDPOINT', text);
  const { username, password } = new URL(text);
  if (username || password)
    throw wrongValue('a URL without a login', 'HF_ENDPOINT', text, 'HF_TOKEN is for tokens.');
  return text.replace(/\/+$/, '');
}

function isTrue(name: string): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes((process.env[name] ?? '').toUpperCase());
}

/** Why the environment wants no network, or null. */
export function offlineVariable(): string | null {
  const name = ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'].find(isTrue);
  return name === undefined ? null : `${name} is set`;
}

function seconds(name: string): number {
  const text = variable(name) ?? '10';
  const value = Number(text);
  if (!(value > 0)) throw wrongValue('a number of seconds', name, text);
  // What a timer can wait; more would make it wait not at all.
  return Math.min(value, 2_147_483);
}

async function accessToken(token: HubOptions['token']): Promise<string | null> {
  if (token === false || token === null) return null;
  if (typeof token === 'string') {
    // A header cannot hold it, and the error of fetch would show it.
    if (!/^[\x21-\x7e]+$/.test(token)) throw new RangeError('The token holds characters that no token has.');
    return token;
  }
  if (token !== undefined && token !== true) throw wrongType('a string or a boolean', 'token', token);
  if (token === undefined && isTrue('HF_HUB_DISABLE_IMPLICIT_TOKEN')) return null;
  const saved = variable('HF_TOKEN') ?? variable('HUGGING_FACE_HUB_TOKEN') ?? (await savedToken());
  const found = saved?.trim() ?? '';
  if (token === true && found === '')
    throw new RangeError(
      'token is true, but no token is saved: run "hf auth login", set HF_TOKEN, or pass the token itself.',
    );
  return found === '' ? null : found;
}

async function savedToken(): Promise<string | null> {
  const file = expand(variable('HF_TOKEN_PATH') ?? path.join(hubHome(), 'token'));
  return readingOrNull(file, readFile(file, 'utf8'));
}

/** A revision names a file under refs/, so it must not lead out of it. */
function checkRevision(revision: unknown): string {
  const text = checkString(revision, 'revision');
  const parts = text.split('/');
  if (!/^[\w.@+/=~^-]+$/.test(text) || parts.some((part) => ['', '.', '..'].includes(part)))
    throw wrongValue('a branch, a tag or a commit', 'revision', text);
  return text;
}
