import type { TaskflowOptionsInput } from '../../config/taskflow-options.interface.js';
import type { TaskRepository } from '../../contracts/task-repository.interface.js';
import type { Clock } from '../../contracts/clock.interface.js';
import { ListedTaskRepository } from '../rows/listed-task-repository.js';
import { silentLogger } from '../task-context.js';

/** Only where the log is in the memory of the test. */
const LOG_PATH = '/taskflow/events.log';

export interface TestOptions {
  /** What the task system is given; `repository` is added for each life where it is not a database of TypeORM's. */
  readonly input: TaskflowOptionsInput;
  /** The one repository of all lives; undefined: the options name a database. */
  readonly repository: ((clock: Clock) => TaskRepository) | undefined;
  /** Whether tasks start without being let. */
  readonly runsByItself: boolean;
}

/** The options of a test over those of production: what a test gives counts, except where the log is and who flushes. */
export function testOptions(given: TaskflowOptionsInput & { isGlobal?: boolean }): TestOptions {
  const { isGlobal: _ofTheModule, ...options } = given;
  const { executor = {} } = options;
  const input: TaskflowOptionsInput = {
    ...options,
    hooks: options.hooks ?? { logger: silentLogger },
    eventLog: { minFreeBytes: 0, ...options.eventLog, eventLogPath: LOG_PATH, onFailure: 'stay' },
    flush: { ...options.flush, worker: 'inline' },
    // A retry comes exactly when its backoff is over. Due times are looked at when they come: the tick has nothing to do.
    executor: { tickIntervalMs: 60_000, ...executor, enabled: true, retry: { jitter: false, ...executor.retry } },
    // There are no other homes to look at.
    recovery: { scanIntervalMs: 3_600_000, ...options.recovery },
    shutdown: { timeoutMs: 0, forceKillTimeoutMs: 100, ...options.shutdown },
  };
  return { input, repository: repositoryOf(options.repository), runsByItself: executor.enabled === true };
}

function repositoryOf(given: TaskflowOptionsInput['repository']): TestOptions['repository'] {
  if (given === undefined) {
    let rows: ListedTaskRepository | undefined;
    return (clock) => (rows ??= new ListedTaskRepository(() => clock.now()));
  }
  const { repository } = given;
  return given.type === 'custom' && repository !== undefined ? () => repository : undefined;
}
