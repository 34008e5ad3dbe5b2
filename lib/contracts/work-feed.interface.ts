import type { TaskState } from '../domain/task-state.js';
import type { TaskId } from './ids.js';
import type { TaskEvent } from './task-event.interface.js';

/** A slot that is held; release it exactly once. */
export interface SlotLease {
  readonly userId: string | null;
  readonly name: string;
  release(): void;
  /**
   * The handler has settled and only its last entry is on its way: the next task may start meanwhile, so that its `start` shares that
   * entry's frame. Harmless when repeated.
   */
  lend(): void;
  /** The entry was refused: the slot is held again, if need be beyond the limit, until it is released. */
  takeBack(): void;
  /** The recovery phase is over (or there is none): the next recovering task may be claimed. Harmless when there was no such phase. */
  recovered(): void;
}

/** A task whose `start` is durable, with its input: the handler may be called. */
export interface StartedWork {
  readonly task: TaskState;
  readonly slot: SlotLease;
  /** Of earlier attempts, at most the last 1,000. */
  readonly previousEvents: readonly TaskEvent[];
  /** What `handle` gets, where the input was validated at the submit just now; left out: the run validates `task.input` itself. */
  readonly validated?: { readonly value: unknown } | undefined;
}

/** Whoever runs what is handed out. Called synchronously; must not throw. */
export interface WorkTaker {
  /** Runs the task and releases its slot at the end. */
  begin(work: StartedWork): void;
  /** A task of that name came to wait here, whether it can run here or not. */
  waits(name: string): void;
  /** No start is under way any more. */
  settled(): void;
}

export interface WorkSize {
  /** Tasks that wait for a slot now. */
  readonly queued: number;
  /** Tasks that wait for a time. */
  readonly delayed: number;
  /** Tasks that wait for a handler of their name. */
  readonly parked: number;
}

/** What waits, and who hands it out started: fairness, limits and order are the engine's. */
export interface WorkFeed {
  /** Starts that are on their way to be durable. */
  readonly starting: number;
  /** Tasks passed over since the process started, because they could not be read or started at that moment. */
  readonly deferred: number;
  /** Tasks that ended because they had not started in time, since the process started. */
  readonly expired: number;
  readonly size: WorkSize;
  /** Says who runs the work. Before `open`. */
  serve(taker: WorkTaker): void;
  /** Begins to hand out work. Twice is once. */
  open(): void;
  /** Nothing more is handed out. A start that is on its way still begins. */
  close(): Promise<void>;
  /** A handler became known: its tasks are runnable here. */
  define(name: string): void;
  /** A `created` task waits here. @param input given where it was created just now: it comes behind all that wait, and need not be read again. */
  offer(task: TaskState, input?: string): void;
  /** A run of the task begins here, and ends here: each `began` is answered by one `ended`. */
  began(taskId: TaskId): void;
  ended(taskId: TaskId): void;
}
