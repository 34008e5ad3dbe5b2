import type { RepositoryOptions } from '../../../config/repository.options.js';
import type { TaskRepository } from '../../../contracts/task-repository.interface.js';
import type { CursorFile, Projector, TaskStore } from '../../../contracts/task-store.interface.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { CustomProjector } from './custom/custom-projector.js';
import { CustomTaskStore } from './custom/custom-task-store.js';
import { DatabaseConnection } from '../../../repository/database.connection.js';
import { databaseTarget } from '../../../repository/database-target.js';
import type { CustomStoragePorts, DatabasePorts, ProjectionReport } from '../../../repository/repository.ports.js';
import { inOwnContexts } from '../../../primitives/async-context.js';
import { TypeOrmProjector } from './typeorm-projector.js';
import { TypeOrmTaskStore } from './typeorm-task-store.js';

/** What the parent reads. Opens nothing yet. @throws RepositoryError `NOT_SUPPORTED`. */
export function createTaskStore(options: RepositoryOptions, ports: DatabasePorts & CustomStoragePorts): TaskStore {
  if (options.type === 'custom') return new CustomTaskStore(customRepository(options), ports);
  return new TypeOrmTaskStore(databaseTarget(options), ports);
}

/**
 * What writes: in the worker process, or inline. Opens nothing yet.
 * @param beside what a custom repository needs, which only the parent has: the store on it, and the cursor file.
 * @throws RepositoryError `NOT_SUPPORTED`.
 */
export function createProjector(
  options: RepositoryOptions,
  ports: DatabasePorts,
  report: ProjectionReport,
  beside?: { readonly store: TaskStore; readonly cursorFile: CursorFile },
): Projector {
  if (options.type !== 'custom') return new TypeOrmProjector(new DatabaseConnection(databaseTarget(options), 'writer', ports), report);
  if (beside === undefined)
    throw new RepositoryError(
      'NOT_SUPPORTED',
      'A custom repository is written to by the process that holds it, not by a worker process.',
      0,
    );
  return new CustomProjector(customRepository(options), ports.clock, beside.store, beside.cursorFile, report);
}

function customRepository({ repository }: RepositoryOptions): TaskRepository {
  const missing = REQUIRED_MEMBERS.filter((member) => typeof repository?.[member] !== 'function');
  if (repository !== undefined && missing.length === 0) return inOwnContexts(repository);
  throw new RepositoryError(
    'NOT_SUPPORTED',
    `repository.type 'custom' needs repository.repository: an object with the members of TaskRepository. Missing: ${missing.join(', ')}.`,
    0,
  );
}

const REQUIRED_MEMBERS = [
  'initialize',
  'executeBatch',
  'findById',
  'findByIdempotencyKey',
  'findStaleTasks',
  'getEvents',
  'healthCheck',
  'close',
] as const;
