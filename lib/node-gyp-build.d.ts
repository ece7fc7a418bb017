declare module 'node-gyp-build' {
  /** Loads the addon of a package: prebuilds/<platform>-<arch>/ first, then build/Release/. */
  export default function load(directory: string): unknown;
}
