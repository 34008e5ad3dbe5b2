import { describe, expect, it, jest } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';

let loaded = 0;
let failure: Error = new Error('Cannot find package');
for (const name of ['sqlite3', 'pg']) {
  jest.unstable_mockModule(name, () => {
    loaded++;
    throw failure;
  });
}
const { createTaskStore } = await import('../../../lib/engines/local/storage/repository.factory.js');

const openingOf = async (type: string): Promise<unknown> => {
  const ports = {
    clock: new SystemClock(),
    ensureFile: async () => undefined,
    sharesProcessWithLog: true,
    cursorFile: { read: async () => null, write: async () => undefined },
    logId: () => 'log',
  };
  const store = createTaskStore({ type } as RepositoryOptions, ports);
  return store.open().catch((error: unknown) => error);
};

describe('A database driver whose native part was not built', () => {
  it.each([
    ['its install script did not run', { message: 'Could not locate the bindings file. Tried:\n → /app/node_modules/sqlite3/build' }],
    [
      'it was built for another Node.js',
      { message: 'The module was compiled against a different Node.js version using NODE_MODULE_VERSION 115.' },
    ],
    ['it was built for another system', { code: 'ERR_DLOPEN_FAILED', message: "/lib/libm.so.6: version `GLIBC_2.38' not found" }],
  ])('is named with what builds it, on the first line: %s', async (_what, given) => {
    failure = Object.assign(new Error(given.message), given);
    const error = await openingOf('sqlite');
    expect(error).toMatchObject({ code: 'DRIVER_MISSING', retryAfterMs: 0 });
    const [line] = (error as RepositoryError).message.split('\n');
    expect(line).toContain('npm rebuild sqlite3');
    expect(line).toContain('approve-builds');
    expect(line).not.toContain('npm install "sqlite3');
  });
});

describe('A missing database driver', () => {
  it.each([
    ['sqlite', 'npm install "sqlite3@^5.1.7 || ^6.0.0"'],
    ['postgres', 'npm install "pg@^8.11.0"'],
  ])('is named with what to install: %s', async (type, install) => {
    const before = loaded;
    failure = new Error('Cannot find package');
    const error = await openingOf(type);
    expect(RepositoryError.is(error) && error.code).toBe('DRIVER_MISSING');
    expect((error as RepositoryError).message).toContain(install);
    expect(loaded).toBeGreaterThan(before);
  });
});
