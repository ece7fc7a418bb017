/** `env`, transformers.js' settings of the process: names for huggingface_hub's variables, which every load reads. */
import { wrongValue } from '../core/errors';
import { checkBoolean, checkString } from '../core/options';
import { PACKAGE_MANIFEST } from '../core/package';
import { defaultCache, endpoint, offlineVariable } from './settings';

/**
 * Settings of the process under transformers.js' names. They set huggingface_hub's variables of the environment, and are
 * read from them; there are no others, and a new name is refused.
 */
export const env = Object.seal({
  /** This package's version. */
  get version(): string {
    return PACKAGE_MANIFEST.version;
  },

  /** Whether the hub may be asked: false sets HF_HUB_OFFLINE. */
  get allowRemoteModels(): boolean {
    return offlineVariable() === null;
  },
  set allowRemoteModels(value: boolean) {
    const allowed = checkBoolean(value, 'env.allowRemoteModels');
    process.env.HF_HUB_OFFLINE = allowed ? '0' : '1';
    if (allowed) delete process.env.TRANSFORMERS_OFFLINE;
  },

  /** Where the hub is: HF_ENDPOINT. */
  get remoteHost(): string {
    return endpoint();
  },
  set remoteHost(value: string) {
    const url = checkString(value, 'env.remoteHost');
    if (!URL.canParse(url) || !/^https?:/.test(url))
      throw wrongValue('an http(s) URL', 'env.remoteHost', value);
    process.env.HF_ENDPOINT = url;
  },

  /** The hub's cache directory: HF_HUB_CACHE. Python's cache, unlike transformers.js'. */
  get cacheDir(): string {
    return defaultCache();
  },
  set cacheDir(value: string) {
    process.env.HF_HUB_CACHE = checkString(value, 'env.cacheDir');
  },
});
