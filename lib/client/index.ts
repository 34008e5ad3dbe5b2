export { watchTask } from './watch-task.js';
export { watchTasks } from './watch-tasks.js';
export type {
  TaskMessage,
  TasksWatch,
  TaskWatch,
  WatchEnd,
  WatchManyOptions,
  WatchOptions,
  WatchStatus,
  WatchStatusDetail,
} from './watch.interface.js';
