import { describe, expect, it, jest } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';

let loaded = 0;
for (const name of ['sqlite3', 'pg']) {
  jest.unstable_mockModule(name, () => {
    loaded++;
    throw new Error('Cannot find package');
  });
}
const { createTaskStore } = await import('../../../lib/engines/local/storage/repository.factory.js');

describe('A missing database driver', () => {
  it.each([
    ['sqlite', 'npm install "sqlite3@^5.1.7 || ^6.0.0"'],
    ['postgres', 'npm install "pg@^8.11.0"'],
  ])('is named with what to install: %s', async (type, install) => {
    const before = loaded;
    const ports = {
      clock: new SystemClock(),
      ensureFile: async () => undefined,
      sharesProcessWithLog: true,
      cursorFile: { read: async () => null, write: async () => undefined },
      logId: () => 'log',
    };
    const store = createTaskStore({ type } as RepositoryOptions, ports);
    const error = await store.open().catch((failure: unknown) => failure);
    expect(RepositoryError.is(error) && error.code).toBe('DRIVER_MISSING');
    expect((error as RepositoryError).message).toContain(install);
    expect(loaded).toBeGreaterThan(before);
  });
});
