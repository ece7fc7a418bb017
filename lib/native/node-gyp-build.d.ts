declare module 'node-gyp-build' {
  /** Finds and loads the addon of a package: build/Release/ first, then prebuilds/<platform>-<arch>/. */
  function load(directory: string): unknown;
  namespace load {
    /** The path of that addon, without loading it. */
    function resolve(directory: string): string;
  }
  export default load;
}
