import path = require('node:path');

/**
 * Where the program of the beating thread is. CommonJS, because `import.meta` is a syntax error to a CommonJS Jest that transforms this
 * package. In a bundle the path leads to no file.
 */
export const BEAT_WORKER_FILE: string = path.join(typeof __dirname === 'string' ? __dirname : '.', 'beat-worker.js');
