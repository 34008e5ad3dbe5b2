import type { DataSource } from 'typeorm';
import type { Clock } from '../contracts/clock.interface.js';
import { RepositoryError } from '../errors/storage.errors.js';
import { retryWhileBusy } from './busy-retry.js';
import { errorCode } from './database-errors.js';

const FULL = 2;
/** Each checkpoint syncs write-ahead log and database, on the disk that the event log syncs to; pages written often are carried over once. 16 MiB. */
const PAGES_PER_CHECKPOINT = 4000;
/** A reader that stays open keeps the write-ahead log growing; after it left, the file is cut to this when it is begun anew. */
const LARGEST_IDLE_WAL_BYTES = 16 * 1024 * 1024;

/**
 * Settings of one SQLite connection, read back: with `synchronous` below FULL a power loss would take the database behind
 * log segments that were deleted since.
 */
export async function applyPragmas(dataSource: DataSource, file: string, busyTimeoutMs: number, clock: Clock): Promise<void> {
  const pragma = async (text: string): Promise<unknown> => {
    const rows = await retryWhileBusy(clock, () => dataSource.query<Record<string, unknown>[]>(`PRAGMA ${text}`));
    return Object.values(rows[0] ?? {})[0];
  };
  try {
    await pragma(`busy_timeout = ${busyTimeoutMs}`);
    await pragma('journal_mode = WAL');
    await pragma('synchronous = FULL');
    await pragma('foreign_keys = ON');
    await pragma(`wal_autocheckpoint = ${PAGES_PER_CHECKPOINT}`);
    await pragma(`journal_size_limit = ${LARGEST_IDLE_WAL_BYTES}`);
    expectValue(file, 'journal_mode', await pragma('journal_mode'), 'wal');
    expectValue(file, 'synchronous', await pragma('synchronous'), FULL);
    expectValue(file, 'foreign_keys', await pragma('foreign_keys'), 1);
    expectValue(file, 'busy_timeout', await pragma('busy_timeout'), busyTimeoutMs);
  } catch (error) {
    if (errorCode(error) !== 'SQLITE_NOTADB') throw error;
    throw new RepositoryError(
      'NOT_A_DATABASE',
      `${file} is not a SQLite database. Move it away, or set repository.database to another file.`,
      0,
    );
  }
}

function expectValue(file: string, name: string, found: unknown, wanted: string | number): void {
  if (found === wanted) return;
  throw new RepositoryError(
    'NOT_SUPPORTED',
    `${file}: SQLite keeps ${name} at ${String(found)}, not ${wanted}, so that a power loss could lose rows. Put the file on a local disk.`,
  );
}
