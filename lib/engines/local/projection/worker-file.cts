import path = require('node:path');

/**
 * Where the program of the flush worker is. CommonJS, because `import.meta` is a syntax error to a CommonJS Jest that transforms this
 * package. In a bundle, which has our code in one file and the worker not beside it, there may
 * be no `__dirname`: the path leads to no file then.
 */
export const WORKER_FILE: string = path.join(
  typeof __dirname === 'string' ? __dirname : '.',
  '..',
  '..',
  '..',
  'flush',
  'worker',
  'flush-worker.js',
);
