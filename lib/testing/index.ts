export { collect, type CollectOptions } from './collect.js';
export type { HandlerCall, HandlerSpy } from './handler-spy.js';
export { type EmittedEvent, taskContext } from './task-context.js';
export { TaskflowTesting, type TestFailure, type TestTimeClock } from './taskflow-testing.js';
export { TaskflowTestingModule } from './taskflow-testing.module.js';
