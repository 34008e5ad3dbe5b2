import type { TaskRepository } from '../contracts/task-repository.interface.js';

export const REPOSITORY_TYPES = ['sqlite', 'better-sqlite3', 'postgres', 'mysql', 'mariadb', 'lakebase', 'custom', 'typeorm'] as const;
export type RepositoryType = (typeof REPOSITORY_TYPES)[number];

/** File of the SQLite types where none is named. */
export const DEFAULT_SQLITE_DATABASE = './.taskflow/tasks.db';

/** `repository`: where rows are kept. Every other key is TypeORM's own and passes by reference, hence no decorators: `resolveRepository` has the rules. */
export class RepositoryOptions {
  /** 'sqlite' is the `sqlite3` driver; 'better-sqlite3' the one that runs with TypeORM 1.x, too. Default 'sqlite'. */
  readonly type: RepositoryType = 'sqlite';
  /** SQLite: file, default './.taskflow/tasks.db'. Others: the database's name, as TypeORM takes it. */
  readonly database?: string | undefined = undefined;
  /** `type: 'lakebase'` only: what gives out connections, yours, by reference. */
  readonly connector?: unknown = undefined;
  /** `type: 'custom'` only: your storage, by reference. */
  readonly repository?: TaskRepository | undefined = undefined;
  /** `type: 'typeorm'` only: a DataSource of yours, whose options a connection of our own is made from; it is never used itself. */
  readonly dataSource?: { readonly options: object } | undefined = undefined;
  readonly [typeOrmOption: string]: unknown;
}
