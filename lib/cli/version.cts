/** CommonJS, because a JSON module makes Node.js 20 print a warning, and `import.meta` is a syntax error to a CommonJS Jest. */
const manifest = require('../../package.json') as { readonly version: string };

export const VERSION: string = manifest.version;
