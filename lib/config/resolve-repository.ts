import leven from 'leven';
import type { FieldIssue } from '../errors/request.errors.js';
import { isOptionsObject } from './branch-assignment.js';
import { fieldIssue } from './option-issues.js';
import { DEFAULT_SQLITE_DATABASE, REPOSITORY_TYPES, RepositoryOptions, type RepositoryType } from './repository.options.js';

/** TypeORM has no such keys; on its objects they could only be meant to reach a prototype. */
const POLLUTING: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const OWN_KEYS = ['type', 'database', 'connector', 'repository'] as const;

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

const isPresent = (value: unknown): boolean => (typeof value === 'object' && value !== null) || typeof value === 'function';
