/** What the dynamic linker's messages mean, and what helps. */
import { GLIBC, MUSL, familySync, versionSync } from 'detect-libc';
import { coerce, lt } from 'semver';

/** What the binary may bind, at most: the newest symbol version of each system library. */
export interface SymbolFloor {
  GLIBC: string;
  GLIBCXX: string;
  CXXABI: string;
}

/** The C library of the running Node. */
export interface SystemLibc {
  /** 'glibc' or 'musl'; null where it cannot be told (not Linux). */
  family: string | null;
  /** '2.36'; null where it cannot be told. */
  version: string | null;
}

/** The C library that Node runs on. May start a process: for messages, not for every start. */
export function systemLibc(): SystemLibc {
  return { family: familySync(), version: versionSync() };
}

/**
 * Why no binary of this package can run on a system; null where one can.
 *
 * @param libc of the system.
 * @param floor what the binary was declared to need.
 */
export function libcProblem(libc: SystemLibc, floor: SymbolFloor): string | null {
  const { family, version } = libc;
  if (family === MUSL)
    return (
      'this Node runs on musl (Alpine Linux), for which PyTorch has no libtorch. ' +
      'Use an image with glibc, such as node:20-bookworm-slim.'
    );
  if (family === GLIBC && version !== null && lt(coerce(version)!, coerce(floor.GLIBC)!))
    return (
      `this system's glibc is ${version} and the prebuilt binary needs ${floor.GLIBC} or later. ` +
      'Use a newer system, or build the package from source.'
    );
  return null;
}

const HINTS: [RegExp, string][] = [
  [
    /version [`'](GLIBCXX|CXXABI)_[\d.]+' not found/,
    "this system's libstdc++ is too old: install a newer libstdc++6, or use a newer system",
  ],
  [/version [`']GLIBC_[\d.]+' not found/, "this system's glibc is too old: use a newer system"],
  [
    /libgomp\.so[\d.]*: cannot open/,
    'install the OpenMP runtime: apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora, RHEL)',
  ],
  [
    /libstdc\+\+\.so[\d.]*: cannot open/,
    'install the C++ runtime: apt-get install libstdc++6 (Debian, Ubuntu), dnf install libstdc++ (Fedora, RHEL)',
  ],
  [
    /lib(?:cu|nv|nccl)\w*[\w.-]*: cannot open/,
    'the NVIDIA libraries of this CUDA build are not where it looks for them: keep them in nvidia/ beside torch/, ' +
      'as "sam3-tracker libtorch install --cuda" does',
  ],
  [/undefined symbol/, 'it is of another build or C++ ABI than the one that the addon was built for'],
  [
    /file too short|invalid ELF header|ELF file|cannot read file data|not a mach-o file/i,
    'the file is damaged or of another platform: install it again',
  ],
  [/: cannot open shared object file/, 'a library that it needs is not installed'],
];

/** Whether the linker misses a symbol version that the addon itself binds: no libtorch helps then. */
export function isAddonTooNew(message: string): boolean {
  return /version [`'](?:GLIBC|GLIBCXX|CXXABI)_[\d.]+' not found \(required by [^)]*\.node\)/.test(message);
}

/** The error's words for that case. @param floor what the binary was declared to need. */
export function floorProblem(floor: SymbolFloor): string {
  return (
    "this system's C++ or C library is older than the binary needs, whichever libtorch is there. It needs " +
    `glibc ${floor.GLIBC} and a libstdc++ with GLIBCXX_${floor.GLIBCXX} and CXXABI_${floor.CXXABI} or later. ` +
    'Install a newer libstdc++6, use a newer system, or build the package from source.'
  );
}

/** The linker's own words, and behind them what helps where that is known. */
export function explainLinkerMessage(message: string): string {
  const text = message.trim();
  const hint = HINTS.find(([pattern]) => pattern.test(text))?.[1];
  return hint ? `${text} (${hint})` : text;
}
