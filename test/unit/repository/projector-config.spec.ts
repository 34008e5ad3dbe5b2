import { isAbsolute } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { projectorConfigOf } from '../../../lib/engines/local/storage/projector-config.js';

const options = (given: object): RepositoryOptions => given as RepositoryOptions;

describe('Configuration of the flush worker', () => {
  it('crosses to another process as it is, with an absolute path', () => {
    const config = projectorConfigOf(options({ type: 'sqlite', database: './tasks.db', connector: undefined }))!;
    expect(isAbsolute(config.database!)).toBe(true);
    expect(Object.keys(config).sort()).toEqual(['database', 'type']);
    const ssl = { ca: Buffer.from('x'), rejectUnauthorized: true };
    expect(projectorConfigOf(options({ type: 'postgres', url: 'postgres://h/d', ssl, extra: { max: 2 } }))).toMatchObject({
      extra: { max: 2 },
    });
  });

  it('does not cross where something in it is more than data', () => {
    expect(projectorConfigOf(options({ type: 'custom', repository: {} }))).toBeUndefined();
    expect(projectorConfigOf(options({ type: 'lakebase', connector: { host: 'h', password: async () => 'token' } }))).toBeUndefined();
    expect(projectorConfigOf(options({ type: 'postgres', logger: new (class Logger {})() }))).toBeUndefined();
  });
});

describe('Databases that are not supported', () => {
  it.each([
    ['mysql', {}],
    ['mariadb', {}],
    ['sqlite', { database: ':memory:' }],
    ['sqlite', { database: 'file::memory:?cache=shared' }],
    ['postgres', { schema: 'x"; DROP TABLE y' }],
    ['lakebase', { connector: { query: () => undefined } }],
  ])('are refused before anything is opened: %s %j', (type, more) => {
    let failure: unknown;
    try {
      databaseTarget(options({ type, ...more }));
    } catch (error) {
      failure = error;
    }
    expect(RepositoryError.is(failure) && failure.code).toBe('NOT_SUPPORTED');
  });
});
