/** Gives Jest the TypeScript sources as CommonJS, as dist/ has them. */
const { transformSync } = require('esbuild');

exports.process = (source, filename) => ({
  code: transformSync(source, { loader: 'ts', format: 'cjs', target: 'es2022', sourcefile: filename }).code,
});
