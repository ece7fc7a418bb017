/** The options of RawImage.read: their meaning, defaults and checks. */
import { wrongType } from '../core/errors';
import { isAbortSignal } from '../core/kinds';
import { checkBoolean, checkInteger, checkNumber, checkOptions, checkString } from '../core/options';
import type { DecodeOptions } from './decode';
import type { FetchOptions } from './fetch-image';

/** Options of RawImage.read. */
export interface RawImageReadOptions {
  /**
   * Turn the image upright by its orientation in EXIF or XMP, as transformers' load_image does; false is Pillow's
   * `Image.open`, which turns TIFFs too. Default true.
   */
  autoOrient?: boolean;
  /** Most pixels (width times height) to decode; false for no limit. Default 268402689, as in sharp. */
  limitInputPixels?: number | false;
  /** Most bytes to take from a file or a URL; false for no limit. Default 1073741824. */
  limitInputBytes?: number | false;
  /** Seconds that a download may take, and that decoding may take; false for no limit. Default 60. */
  timeout?: number | false;
  /** Ends a download, or the wait for decoding. The promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Decode SVG, which transformers cannot read; its filters can take minutes that no limit ends. Default false. */
  svg?: boolean;
  /** The only hosts to download from, redirects included: 'example.com', '*.example.com'. Default null: all. */
  allowedHosts?: readonly string[] | null;
  /**
   * Download from addresses that are not of the public internet (loopback, link-local, private). False checks every
   * address of a name and every redirect, and uses no proxy. Default true.
   */
  allowPrivateAddresses?: boolean;
  /** Read paths and file: URLs. Default true. */
  allowLocalFiles?: boolean;
}

/** Every name in RawImageReadOptions, with its default. */
const DEFAULTS = {
  autoOrient: true,
  limitInputPixels: 0x3fff * 0x3fff,
  limitInputBytes: 2 ** 30, // what the most pixels take uncompressed, with alpha
  timeout: 60,
  signal: undefined,
  svg: false,
  allowedHosts: null,
  allowPrivateAddresses: true,
  allowLocalFiles: true,
};

// Longer than any timer of Node holds.
const MAX_TIMEOUT = 2 ** 31 / 1000 - 1;

function checkHosts(hosts: unknown): string[] | null {
  if (hosts === null) return null;
  if (!Array.isArray(hosts)) throw wrongType('a list of host names', 'allowedHosts', hosts);
  return hosts.map((host, index) => checkString(host, `allowedHosts[${index}]`));
}

/** Checks the options of RawImage.read and fills in the defaults. @throws TypeError and RangeError as read does. */
export function checkReadOptions(options: RawImageReadOptions | undefined): DecodeOptions & FetchOptions {
  const given = Object.entries(checkOptions(options, Object.keys(DEFAULTS), 'RawImage.read'));
  const all = { ...DEFAULTS, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) };
  const signal: unknown = all.signal;
  if (signal !== undefined && !isAbortSignal(signal)) throw wrongType('an AbortSignal', 'signal', signal);
  const limit = (name: 'limitInputPixels' | 'limitInputBytes'): number | false =>
    (all[name] as unknown) === false ? false : checkInteger(all[name], name, { min: 1 });
  return {
    autoOrient: checkBoolean(all.autoOrient, 'autoOrient'),
    limitInputPixels: limit('limitInputPixels'),
    limitInputBytes: limit('limitInputBytes'),
    timeout:
      (all.timeout as unknown) === false
        ? false
        : checkNumber(all.timeout, 'timeout', { min: 0, max: MAX_TIMEOUT }),
    signal,
    svg: checkBoolean(all.svg, 'svg'),
    allowedHosts: checkHosts(all.allowedHosts),
    allowPrivateAddresses: checkBoolean(all.allowPrivateAddresses, 'allowPrivateAddresses'),
    allowLocalFiles: checkBoolean(all.allowLocalFiles, 'allowLocalFiles'),
  };
}
