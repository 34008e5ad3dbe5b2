import { isAbsolute, resolve } from 'node:path';
import { DEFAULT_SQLITE_DATABASE, type RepositoryOptions } from '../config/repository.options.js';
import { RepositoryError } from '../errors/storage.errors.js';
import { type Dialect, POSTGRES, SQLITE } from './dialect.js';

/** Name of the package, of the same name as TypeORM's type but for `sqlite`. */
export type SqliteDriver = 'sqlite3' | 'better-sqlite3';

/** Where our tables are, told apart from how they are reached. */
export type DatabaseTarget =
  | { readonly kind: 'sqlite'; readonly dialect: Dialect; readonly file: string; readonly driver: SqliteDriver }
  | {
      readonly kind: 'postgres';
      readonly dialect: Dialect;
      readonly schema: string | undefined;
      readonly options: Readonly<Record<string, unknown>>;
      readonly lakebase: boolean;
    };

/** What a repository of ours does not take from its options: tables, migrations and logging are our own. */
const OURS: ReadonlySet<string> = new Set([
  'type',
  'connector',
  'repository',
  'entities',
  'migrations',
  'migrationsRun',
  'migrationsTableName',
  'migrationsTransactionMode',
  'subscribers',
  'synchronize',
  'dropSchema',
  'namingStrategy',
  'entityPrefix',
  'entitySkipConstructor',
  'name',
  'cache',
]);
const SCHEMA = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/;

/** @throws RepositoryError `NOT_SUPPORTED` for databases that this version does not write to. */
export function databaseTarget(options: RepositoryOptions): DatabaseTarget {
  switch (options.type) {
    case 'sqlite':
      return sqliteTarget(options.database ?? DEFAULT_SQLITE_DATABASE, 'sqlite3');
    case 'better-sqlite3':
      return sqliteTarget(options.database ?? DEFAULT_SQLITE_DATABASE, 'better-sqlite3');
    case 'postgres':
      return postgresTarget(options as unknown as Readonly<Record<string, unknown>>, false);
    case 'lakebase':
      return postgresTarget(lakebaseOptions(options.connector), true);
    default:
      throw new RepositoryError(
        'NOT_SUPPORTED',
        `repository.type '${options.type}' is not supported yet. Use 'sqlite' (the sqlite3 driver), 'better-sqlite3', 'postgres', 'lakebase' or 'custom'.`,
      );
  }
}

function sqliteTarget(database: string, driver: SqliteDriver): DatabaseTarget {
  if (database === '' || database === ':memory:' || database.startsWith('file:')) {
    throw new RepositoryError(
      'NOT_SUPPORTED',
      `repository.database '${database}' is not a file path. Several connections share the database, so it must be an ordinary file.`,
    );
  }
  return { kind: 'sqlite', dialect: SQLITE, file: isAbsolute(database) ? database : resolve(database), driver };
}

function postgresTarget(given: Readonly<Record<string, unknown>>, lakebase: boolean): DatabaseTarget {
  const options = Object.fromEntries(Object.entries(given).filter(([name, value]) => !OURS.has(name) && value !== undefined));
  const schema = options['schema'];
  if (schema !== undefined && (typeof schema !== 'string' || !SCHEMA.test(schema))) {
    throw new RepositoryError('NOT_SUPPORTED', 'repository.schema must be a plain name: letters, digits and underscores, at most 63.');
  }
  return { kind: 'postgres', dialect: POSTGRES, schema: schema as string | undefined, options, lakebase };
}

function lakebaseOptions(connector: unknown): Readonly<Record<string, unknown>> {
  const isOptions = typeof connector === 'object' && connector !== null && ('host' in connector || 'url' in connector);
  if (isOptions) return connector as Readonly<Record<string, unknown>>;
  throw new RepositoryError(
    'NOT_SUPPORTED',
    'repository.connector must be TypeORM options for PostgreSQL (host, port, username, database, password: async () => token), such as getLakebaseOrmConfig() of @databricks/lakebase gives.',
  );
}

/** For messages: the file, or the server without user and password. */
export function describeTarget(target: DatabaseTarget): string {
  if (target.kind === 'sqlite') return target.file;
  const { host, port, database } = { ...target.options, ...placeIn(target.options['url']) };
  return `PostgreSQL ${typeof host === 'string' ? host : 'server'}${typeof port === 'number' ? `:${port}` : ''}${typeof database === 'string' ? `, database ${database}` : ''}`;
}

/** TypeORM lets a URL win over host, port and database. */
function placeIn(url: unknown): { host?: string; port?: number; database?: string } {
  if (typeof url !== 'string' || !URL.canParse(url)) return {};
  const { hostname, port, pathname } = new URL(url);
  return {
    ...(hostname === '' ? {} : { host: hostname }),
    ...(port === '' ? {} : { port: Number(port) }),
    ...(pathname.length < 2 ? {} : { database: decodeURIComponent(pathname.slice(1)) }),
  };
}

/** What the options say of a setting of the driver; undefined: nothing. */
export function givenTo(setting: string, target: DatabaseTarget): unknown {
  const extra: unknown = target.kind === 'postgres' ? target.options['extra'] : undefined;
  return typeof extra === 'object' && extra !== null ? Reflect.get(extra, setting) : undefined;
}
