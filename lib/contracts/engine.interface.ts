import type { ChangeFeed } from './change-feed.interface.js';
import type { Degradation } from './degradation.interface.js';
import type { FactPort } from './fact-port.interface.js';
import type { RunLiveness } from './run-liveness.interface.js';
import type { TaskCreator } from './task-creator.interface.js';
import type { TaskQueries } from './task-queries.interface.js';
import type { TaskSystemStats } from './task-system.interface.js';
import type { WorkFeed } from './work-feed.interface.js';

/**
 * The one place where facts are made, behind everything that the shared floors know of it. "Durable" means what the engine says: synced
 * to a log, or committed in a database.
 *
 * Life: `open` once; then `work.open()` by the executor; at the end `quiesce`, the executor's stop, `leave`, `close`. After `kill -9`
 * instead of an end, the next `open` (here or on another node) takes up what was left.
 */
export interface Engine {
  readonly name: 'local' | 'cluster';
  /** Makes facts of tasks that exist, and says when they cannot be made. */
  readonly facts: FactPort;
  /** Lets new tasks in: keys, limits, slots. */
  readonly creator: TaskCreator;
  /** Hands out started work. */
  readonly work: WorkFeed;
  readonly queries: TaskQueries;
  /** Tells of facts, cancel requests, lost runs and the end of it all. */
  readonly changes: ChangeFeed;
  readonly liveness: RunLiveness;
  /** What keeps it from being whole, the worst first; empty: everything that it promises holds. It works all the same (status `degraded`). */
  degraded(): readonly Degradation[];
  /**
   * Opens what facts are kept in and takes up what was left: facts are taken and questions answered from here on. Nothing is handed out
   * yet. @throws TaskSystemError, ConfigValidationError: what was opened is closed by `close`.
   */
  open(): Promise<void>;
  /** The application is up, and nothing runs yet: says in the log where facts are kept, which handlers there are, and what was taken up. */
  started(): void;
  /** The end begins: waits for others (a lock, a database) are given up, leftovers are no longer taken up. Also while `open` is under way. */
  quiesce(): Promise<void>;
  /** No run is under way any more: brings what is pending to where others read it, for at most `timeoutMs`, and tells others that this process left. */
  leave(timeoutMs: number): Promise<void>;
  /** Lets go of everything. Never rejects; also after an `open` that failed. */
  close(): Promise<void>;
  /** One reading of the engine's own counters. */
  stats(): EngineStats;
}

export interface EngineStats {
  readonly guard: TaskSystemStats['guard'];
  readonly eventLog: TaskSystemStats['eventLog'];
  readonly flush: TaskSystemStats['flush'];
  /** Since this process started: runs of dead processes that were put back, and those that ended instead. */
  readonly leftovers: { readonly recovered: number; readonly failed: number; readonly cancelled: number };
  /** Running tasks of others without a sign of life at the last look; at most 100 are counted. */
  readonly staleElsewhere: number;
}
