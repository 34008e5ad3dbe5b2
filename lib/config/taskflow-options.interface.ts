import type { TaskflowHooks } from '../contracts/telemetry.interface.js';
import type { RepositoryOptions } from './repository.options.js';
import type { TaskflowOptions } from './taskflow.options.js';

/**
 * What `forRoot`, `forRootAsync` and `createTaskSystem` take: the options, every one optional. Loose on purpose, as configuration
 * comes from many places; everything is checked at start. For checks by the compiler: `{ … } satisfies TaskflowOptionsShape`.
 */
export interface TaskflowOptionsInput {
  [branch: string]: any;
}

type BranchShape<T> = { readonly [K in keyof T]?: (T[K] extends object ? BranchShape<T[K]> : T[K]) | undefined };
/** The options with all their names and types. */
export type TaskflowOptionsShape = BranchShape<Omit<TaskflowOptions, 'repository' | 'hooks'>> & {
  readonly repository?: Partial<RepositoryOptions> | undefined;
  readonly hooks?: TaskflowHooks | undefined;
};

export interface TaskflowOptionsFactory {
  createTaskflowOptions(): TaskflowOptionsInput | Promise<TaskflowOptionsInput>;
}
