import type { DataSource } from 'typeorm';
import { RepositoryError } from '../errors/storage.errors.js';

/**
 * A database in another encoding takes plain text for months, and then refuses a task of one user for ever: for an emoji, a name, a quote.
 * @throws RepositoryError `NOT_SUPPORTED` unless the database keeps text in UTF8.
 */
export async function requireUtf8(dataSource: DataSource): Promise<void> {
  const [found] = await dataSource.query<{ name: string; encoding: string }[]>(
    `SELECT current_database() AS name, current_setting('server_encoding') AS encoding`,
  );
  if (found === undefined || found.encoding === 'UTF8') return;
  throw new RepositoryError(
    'NOT_SUPPORTED',
    `The encoding of database "${found.name}" is ${found.encoding}, which cannot hold every text that tasks carry. Create one in UTF8, and set ` +
      `repository.database to it: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`,
    0,
  );
}
