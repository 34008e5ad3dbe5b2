import type { Type } from '@nestjs/common';
import type { TaskflowOptionsInput } from '../../lib/config/taskflow-options.interface.js';
import type { TaskDefinition } from '../../lib/contracts/task-handler.interface.js';
import type { TaskSystem } from '../../lib/task-system.js';

/** A process with a task system in it. */
export interface TaskNode {
  readonly system: TaskSystem;
  /** What the module provides: services by class, ports by token. */
  get<T>(token: Type<T> | symbol): T;
}

/**
 * One engine, with everything around it, as a conformance test drives it. Time may stand still and be moved by hand, or be real: a test
 * says `until`, `pass` and `seen`, names no time above a few seconds, and never compares a duration with an upper bound.
 */
export interface EngineUnderTest {
  /** The process that tests speak with. @throws Error while there is none. */
  readonly node: TaskNode;
  /** Handlers of every process from its start on. Before `start`. */
  define(name: string, definition: TaskDefinition): void;
  /** The first process, initialised. `options` are a user's; where facts are kept is the engine's own affair. */
  start(options?: TaskflowOptionsInput): Promise<void>;
  /** Ends the process as `kill -9` does: nothing is flushed, nothing is closed, no answer of it arrives any more. */
  crash(): Promise<void>;
  /** An orderly end of the process. */
  stop(): Promise<void>;
  /** A new process in the place of the one that crashed or stopped, initialised. @param options instead of those of `start`. */
  restart(options?: TaskflowOptionsInput): Promise<void>;
  /** Another process beside the first one, on the same tasks; undefined: the engine has one process only. */
  readonly secondNode?: () => Promise<TaskNode>;
  /** Waits for a promise while time goes on. @throws Error when it does not settle. */
  until<T>(promise: Promise<T>): Promise<T>;
  /** Lets so much time go by, and the process work. Unit: ms. */
  pass(ms: number): Promise<void>;
  /** Until what is durable is also where an engine keeps it for good: a log is in its database. Nothing to do where there is one place. */
  atRest(): Promise<void>;
  /** Ends everything, and takes away what was kept. Also after a crash, also twice. */
  close(): Promise<void>;
}

export interface EngineKind {
  readonly name: string;
  /** Why it cannot be tried here, such as no server; undefined: it can. */
  readonly missing?: string | undefined;
  /** One that has kept nothing yet. */
  create(): EngineUnderTest;
}
