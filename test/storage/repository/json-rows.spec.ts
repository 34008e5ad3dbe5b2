import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { insertFromJson } from '../../../lib/repository/json-rows.js';
import { inChunks, insertRows } from '../../../lib/repository/multi-row.js';
import { ensureFile } from '../../support/database/test-databases.js';

/** Each in a column next to others, where a wrong guess about one would show in all. */
const TEXTS = ['', ' ', 'NULL', '0', '1.50', 'true', '{"a":[1,"x"]}', '"quoted"', "it's", 'a\nb\\n', '\u{1F600} é', 'x'.repeat(5000)];
/** What JSON cannot carry into SQLite and back. */
const NUL = 'nul\0nul';

describe('Rows that cross to SQLite as JSON', () => {
  let folder: string;
  let connection: DatabaseConnection;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskflow-json-'));
    const target = databaseTarget({ type: 'sqlite', database: join(folder, 'tasks.db') } as RepositoryOptions);
    connection = new DatabaseConnection(target, 'writer', { clock: new SystemClock(), ensureFile, sharesProcessWithLog: false });
    await connection.open();
    await connection.run('CREATE TABLE things ("id" text PRIMARY KEY, "n" bigint, "t" text, "same" text, "none" text)');
  });
  afterEach(async () => {
    await connection.close();
    await rm(folder, { recursive: true, force: true });
  });

  const insert = (rows: readonly unknown[][]): Promise<void> =>
    insertRows(connection, 'INSERT INTO things ("id", "n", "t", "same", "none")', 5, rows.flat(), 'ON CONFLICT ("id") DO NOTHING');
  const stored = (): Promise<unknown[]> => connection.rows('SELECT * FROM things ORDER BY rowid');

  it('are stored value by value as they were given, in more than one statement', async () => {
    const rows = Array.from({ length: 1300 }, (_, at) => [
      `id ${at}`,
      at * 1e9,
      at % 7 === 0 ? null : TEXTS[at % TEXTS.length],
      'same',
      null,
    ]);
    await insert(rows);
    expect(await stored()).toEqual(rows.map(([id, n, t, same, none]) => ({ id, n, t, same, none })));
  });

  it('keep types that a column would not convert by itself', async () => {
    await insert([
      ['a', 1_764_140_000_123, '12', 'same', null],
      ['b', -1, null, 'same', null],
    ]);
    expect(await connection.rows('SELECT typeof("n") AS n, typeof("t") AS t, typeof("none") AS none FROM things')).toEqual([
      { n: 'integer', t: 'text', none: 'null' },
      { n: 'integer', t: 'null', none: 'null' },
    ]);
  });

  it('are bound one by one where JSON would lose a character', async () => {
    const rows = [
      ['a', 1, NUL, 'same', null],
      ['b', 2, 'plain', 'same', null],
    ];
    expect(insertFromJson('INSERT INTO things', 5, rows.flat(), '')).toBeUndefined();
    await insert(rows);
    expect(await connection.rows('SELECT "id", "n", hex("t") AS hex FROM things ORDER BY "id"')).toEqual([
      { id: 'a', n: 1, hex: Buffer.from(NUL).toString('hex').toUpperCase() },
      { id: 'b', n: 2, hex: Buffer.from('plain').toString('hex').toUpperCase() },
    ]);
  });

  it('take one parameter for a column that is the same in all rows, and none where it is null', () => {
    const statement = insertFromJson('INSERT INTO things', 3, ['a', 'same', null, 'b', 'same', null], 'ON CONFLICT DO NOTHING');
    expect(statement).toEqual({
      sql: 'INSERT INTO things WITH given(value) AS MATERIALIZED (SELECT value FROM json_each(?)) SELECT value->>0, ?, NULL FROM given WHERE true ON CONFLICT DO NOTHING',
      parameters: ['[["a"],["b"]]', 'same'],
    });
  });

  it('are found by many ids, those included that JSON would change', async () => {
    const ids = Array.from({ length: 450 }, (_, at) => `id "${at}"`);
    await insert(ids.map((id, at) => [id, at, null, 'same', null]));
    await insert([[NUL, 1, null, 'same', null]]);
    for (const asked of [ids, ids.slice(0, 1), [...ids, NUL]]) {
      const pages = await inChunks(connection, asked, (inside, values) =>
        connection.rows(`SELECT COUNT(*) AS n FROM things WHERE "id" IN (${inside})`, values),
      );
      expect(pages.flat().reduce((sum, row) => sum + Number(row['n']), 0)).toBe(asked.length);
    }
  });
});
