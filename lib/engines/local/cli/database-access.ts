import { DEFAULT_SQLITE_DATABASE, type RepositoryOptions } from '../../../config/repository.options.js';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { isMissing } from '../wal/disk-error.js';
import { LogFolder } from '../wal/log-folder.js';
import type { DatabaseConnection } from '../../../repository/database.connection.js';
import { databaseTarget } from '../../../repository/database-target.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import { type Arguments, UsageError } from '../../../cli/arguments.js';
import type { CommandContext } from '../../../cli/command.interface.js';

/** The repository options that the command line stands for, or undefined: no database was named. */
export function repositoryOptions({ database, driver, url, schema }: Arguments): RepositoryOptions | undefined {
  if (database !== undefined) return { type: sqliteType(driver), database };
  if (url !== undefined) return { type: 'postgres', url, ...(schema === undefined ? {} : { schema }) };
  return undefined;
}

const sqliteType = (driver: Arguments['driver']): 'sqlite' | 'better-sqlite3' => (driver === 'better-sqlite3' ? driver : 'sqlite');

/** @throws UsageError when no database was named. */
export function requiredRepository(args: Arguments): RepositoryOptions {
  const options = repositoryOptions(args);
  if (options !== undefined) return options;
  if (args.topic === 'tasks') return { type: sqliteType(args.driver), database: DEFAULT_SQLITE_DATABASE };
  throw new UsageError(`log ${args.command} needs the database: --database <file> or --url <url>`);
}

export function databasePorts({ fs, clock, args }: CommandContext): DatabasePorts {
  const folder = new LogFolder(fs, args.path);
  return { clock, ensureFile: (path) => folder.createFile(path), sharesProcessWithLog: false };
}

/** A SQLite file that is not there would be created by opening it. */
export async function requireDatabaseFile(fs: LogFileSystem, options: RepositoryOptions): Promise<void> {
  const target = databaseTarget(options);
  if (target.kind !== 'sqlite' || (await fileExists(fs, target.file))) return;
  throw new UsageError(`there is no database at ${target.file}`);
}

export async function fileExists(fs: LogFileSystem, path: string): Promise<boolean> {
  try {
    await fs.stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** @param role `confirm` leaves the schema as it is. */
export async function withDatabase<T>(
  context: CommandContext,
  options: RepositoryOptions,
  role: 'confirm' | 'writer',
  work: (connection: DatabaseConnection) => Promise<T>,
): Promise<T> {
  await requireDatabaseFile(context.fs, options);
  // Most commands can do without a database, and then without its drivers.
  const { DatabaseConnection } = await import('../../../repository/database.connection.js');
  const connection = new DatabaseConnection(databaseTarget(options), role, databasePorts(context));
  try {
    await connection.open();
    return await work(connection);
  } finally {
    await connection.close();
  }
}
