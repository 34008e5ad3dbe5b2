import type { TaskflowHooks } from '../contracts/telemetry.interface.js';
import type { RepositoryOptions } from './repository.options.js';
import type { TaskflowOptions } from './taskflow.options.js';

/** A class of options as a user writes it: every member may be left out, or be undefined, and takes its default then. */
type Given<T> = { -readonly [K in keyof T]?: (T[K] extends object ? Given<T[K]> : T[K]) | undefined };

/**
 * What `forRoot`, `forRootAsync` and `createTaskSystem` take: the options, every one optional. A name or type that is wrong does not
 * compile. What comes past the compiler, such as text from the environment, is a ConfigValidationError at start.
 */
export interface TaskflowOptionsInput extends Given<Omit<TaskflowOptions, 'repository' | 'hooks'>> {
  /**
   * Where rows are kept: `type`, and what that needs. For the types of TypeORM also TypeORM's own options, which pass by reference.
   * Default: SQLite in `./.taskflow/tasks.db`.
   */
  repository?: Partial<RepositoryOptions> | undefined;
  /** Metrics, traces and logger: `createHooks({ tracer, meter, logger })`. Passes by reference. */
  hooks?: TaskflowHooks | undefined;
}

/** The same as `TaskflowOptionsInput`: for `{ … } satisfies TaskflowOptionsShape`. */
export type TaskflowOptionsShape = TaskflowOptionsInput;

export interface TaskflowOptionsFactory {
  createTaskflowOptions(): TaskflowOptionsInput | Promise<TaskflowOptionsInput>;
}
