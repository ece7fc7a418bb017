/** The compiler's word on programs that use this package, under the repository's own settings. */
import path from 'node:path';
import ts from 'typescript';

const ROOT = path.join(__dirname, '..', '..');
/** What a package without types is declared with. */
const DECLARATIONS = path.join(ROOT, 'lib', 'native', 'node-gyp-build.d.ts');

/** Errors by "file:line", with what `edit` makes of the files in place of what they hold. */
export function compilerErrors(
  files: readonly string[],
  edit: (source: string) => string = (source) => source,
): Map<string, string> {
  const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  // A program may lie outside of the repository.
  const host = ts.createCompilerHost({ ...options, rootDir: undefined });
  const read = host.readFile.bind(host);
  host.readFile = (name) => {
    const source = read(name);
    return source !== undefined && files.includes(path.normalize(name)) ? edit(source) : source;
  };
  const typeRoots = [path.join(ROOT, 'node_modules', '@types')];
  const program = ts.createProgram(
    [...files, DECLARATIONS],
    { ...options, rootDir: undefined, typeRoots },
    host,
  );
  const errors = new Map<string, string>();
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
    const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
    errors.set(
      `${file ? path.basename(file.fileName) : ''}:${line}`,
      ts.flattenDiagnosticMessageText(messageText, ' '),
    );
  }
  return errors;
}
