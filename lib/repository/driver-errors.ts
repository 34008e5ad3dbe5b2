import { RepositoryError } from '../errors/storage.errors.js';

const NATIVE_PART = /bindings|native|\.node\b|NODE_MODULE_VERSION|dlopen|invalid ELF|GLIBC/i;

/** Faults of the installation: no waiting mends them, so that the start is refused. */
export function driverNotLoaded(name: string, range: string, error: unknown): RepositoryError {
  const reason = firstLine(error);
  const { version, platform, arch } = process;
  const message =
    codeOf(error) === 'ERR_DLOPEN_FAILED' || NATIVE_PART.test(reason)
      ? `The database driver '${name}' is installed, but its native part was not built for this Node.js (${version}, ${platform} ${arch}): its install ` +
        `script did not run, or ran elsewhere. Build it: npm rebuild ${name} (pnpm: pnpm approve-builds, then pnpm rebuild ${name}; where install ` +
        `scripts are switched off, allow those of ${name}). The driver said: ${reason}`
      : `The database driver '${name}' cannot be loaded. Install it beside nestjs-taskflow: npm install "${name}@${range}". Node.js said: ${reason}`;
  return new RepositoryError('DRIVER_MISSING', message, 0, { cause: error });
}

/** TypeORM refused the options themselves, before it connected. */
export function refusedByTypeOrm(type: DataSourceType, error: unknown): RepositoryError {
  const remedy = REMEDIES[type];
  return new RepositoryError(
    'NOT_SUPPORTED',
    `The installed TypeORM cannot use repository.type '${type}'. ${remedy} It said: ${firstLine(error)}`,
    0,
    {
      cause: error,
    },
  );
}

/** A pooler refuses what the user set for a session. */
export function refusedByPooler(error: unknown): RepositoryError {
  return new RepositoryError(
    'NOT_SUPPORTED',
    `The pooler in front of PostgreSQL takes no settings of a session: ${firstLine(error)}. Take the setting out of repository.extra, or let the pooler ` +
      'ignore it (pgbouncer: ignore_startup_parameters).',
    0,
    { cause: error },
  );
}

/** TypeORM's names. */
export type DataSourceType = 'sqlite' | 'better-sqlite3' | 'postgres';

const REMEDIES: Readonly<Record<DataSourceType, string>> = {
  sqlite:
    "Its versions from 1.0 have no driver for 'sqlite': npm install \"typeorm@^0.3.31\", or use repository.type 'better-sqlite3' or 'postgres'.",
  'better-sqlite3': 'Install better-sqlite3@^12.0.0 beside nestjs-taskflow, and look at repository.',
  postgres: 'Install typeorm@^0.3.31 and pg@^8.11.0 beside nestjs-taskflow, and look at repository.',
};

const codeOf = (error: unknown): unknown => (typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined);
const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 300);
