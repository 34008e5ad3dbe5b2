import leven from 'leven';
import type { FieldIssue } from '../errors/request.errors.js';
import { isOptionsObject } from './branch-assignment.js';
import { fieldIssue } from './option-issues.js';
import { DEFAULT_SQLITE_DATABASE, REPOSITORY_TYPES, RepositoryOptions, type RepositoryType } from './repository.options.js';

/** TypeORM has no such keys; on its objects they could only be meant to reach a prototype. */
const POLLUTING: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const OWN_KEYS = ['type', 'database', 'connector', 'repository', 'dataSource'] as const;
/** Types of a DataSource that a connection of our own can be made from. */
const OF_DATA_SOURCES: readonly string[] = ['sqlite', 'better-sqlite3', 'postgres'] satisfies RepositoryType[];
/** What a DataSource says of the host's own work: its tables, its log. */
const OF_THE_HOST: ReadonlySet<string> = new Set([
  'entities',
  'migrations',
  'subscribers',
  'logger',
  'logging',
  'maxQueryExecutionTime',
  'poolErrorHandler',
]);

/** The branch `repository`: our own keys by our rules, all others as given. Faults are added to `issues`. */
export function resolveRepository(input: unknown, issues: FieldIssue[]): RepositoryOptions {
  const options = new RepositoryOptions();
  if (input !== undefined && !isOptionsObject(input)) {
    issues.push(fieldIssue('repository', 'must be an object of options', input));
    return options;
  }
  const given = input ?? {};
  for (const key of Object.keys(given)) {
    const refusal = refusalOf(key, given);
    if (refusal !== undefined) issues.push({ path: `repository.${key}`, message: refusal });
    else if (given[key] !== undefined) (options as Record<string, unknown>)[key] = given[key];
  }
  if (options.type === 'typeorm') return ofDataSource(options, issues);
  if (!REPOSITORY_TYPES.includes(options.type)) {
    issues.push(fieldIssue('repository.type', `must be one of ${REPOSITORY_TYPES.join(', ')}`, options.type));
    return options;
  }
  return withPartsOf(options.type, options, issues);
}

/** Why a key is refused; undefined: it is ours, or TypeORM's. */
function refusalOf(key: string, given: Readonly<Record<string, unknown>>): string | undefined {
  if (POLLUTING.has(key)) return 'unknown option; the nearest known name is "type"';
  if ((OWN_KEYS as readonly string[]).includes(key)) return undefined;
  // A slip in a name of ours must not pass for TypeORM's: the tasks would silently go to the default file.
  const meant = OWN_KEYS.find((own) => own.length > 4 && leven(key.toLowerCase(), own) <= 2);
  if (meant !== undefined) return `unknown option; the nearest known name is "${meant}"`;
  if (given['type'] === 'custom') return 'unknown option; the nearest known name is "repository"';
  return undefined;
}

function withPartsOf(type: RepositoryType, options: RepositoryOptions, issues: FieldIssue[]): RepositoryOptions {
  if (type === 'custom' && !isPresent(options.repository)) {
    issues.push(
      fieldIssue('repository.repository', "is needed with type 'custom': an object with the members of TaskRepository", options.repository),
    );
  }
  if (type === 'lakebase' && !isPresent(options.connector)) {
    issues.push(fieldIssue('repository.connector', "is needed with type 'lakebase'", options.connector));
  }
  if (type !== 'typeorm' && options.dataSource !== undefined) {
    issues.push({ path: 'repository.dataSource', message: `is only for type 'typeorm', not '${type}'` });
  }
  // Without its type, storage of one's own would be set aside for a file nobody asked for.
  if (type !== 'custom' && options.repository !== undefined) {
    issues.push({ path: 'repository.repository', message: `is only for type 'custom', not '${type}'` });
  }
  if (type !== 'lakebase' && options.connector !== undefined) {
    issues.push({ path: 'repository.connector', message: `is only for type 'lakebase', not '${type}'` });
  }
  if (type !== 'sqlite' && type !== 'better-sqlite3') return options;
  const database: unknown = options.database ?? DEFAULT_SQLITE_DATABASE;
  if (typeof database !== 'string' || database === '')
    issues.push(fieldIssue('repository.database', 'must be the path of a file', database));
  else if (database === ':memory:' || database.startsWith('file:'))
    issues.push({
      path: 'repository.database',
      message: `must be the path of an ordinary file, which several connections share, not '${database}'`,
    });
  return Object.assign(options, { database });
}

/**
 * Where the DataSource leads to, on a connection of our own: on the host's, a transaction of the host would hold our rows back, or take them
 * with it when it is rolled back.
 */
function ofDataSource({ dataSource, ...others }: RepositoryOptions, issues: FieldIssue[]): RepositoryOptions {
  const options = new RepositoryOptions();
  const given: unknown = dataSource?.options;
  const type: unknown = isOptionsObject(given) ? given['type'] : undefined;
  if (!isOptionsObject(given) || typeof type !== 'string') {
    issues.push(fieldIssue('repository.dataSource', "is needed with type 'typeorm': a DataSource of TypeORM", dataSource));
    return options;
  }
  if (!OF_DATA_SOURCES.includes(type)) {
    issues.push({ path: 'repository.dataSource', message: `is of type '${type}'; supported are ${OF_DATA_SOURCES.join(', ')}` });
    return options;
  }
  for (const key of Object.keys(others))
    if (key !== 'type' && others[key] !== undefined)
      issues.push({ path: `repository.${key}`, message: "is no option of type 'typeorm': the options of its dataSource are taken" });
  const taken = Object.entries(given).filter(([key, value]) => !OF_THE_HOST.has(key) && value !== undefined);
  return withPartsOf(type as RepositoryType, Object.assign(options, Object.fromEntries(taken)), issues);
}

const isPresent = (value: unknown): boolean => (typeof value === 'object' && value !== null) || typeof value === 'function';
