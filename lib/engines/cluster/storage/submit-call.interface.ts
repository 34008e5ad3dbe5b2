import type { TaskId } from '../../../contracts/ids.js';
import type { TaskType } from '../../../contracts/task.interface.js';

export interface RunLimits {
  /** Runs at once over all nodes. */
  readonly all: number;
  /** Of one user over all nodes; tasks without a user have no such limit. */
  readonly perUser: number;
}

/** Tasks that may wait, of all users together and of one. */
export interface WaitingBound {
  readonly max: number;
  readonly maxPerUser: number;
}

export interface SubmitCall {
  /** Incarnation of the caller. */
  readonly me: string;
  readonly tasks: readonly NewTask[];
  /** All or none: one that is not created leaves the others `withheld`. */
  readonly all: boolean;
  readonly window: { readonly sizeMs: number; readonly max: number; readonly maxPerUser: number };
  /** Tasks that are ready and wait. A bound above 10,000 is for the caller to check, against `sizes`. */
  readonly queued: WaitingBound | null;
  /** Tasks that wait for a time. Likewise. */
  readonly delayed: WaitingBound | null;
  /** The single task of this call starts at once, or is `refused` by `slot` and never was. Null: tasks are queued. */
  readonly start: { readonly limits: RunLimits; readonly handlerLimit: number | null } | null;
  /** How long to wait for another transaction that holds a key, a window or the turn. Unit: ms. */
  readonly lockMs: number;
}

export interface NewTask {
  readonly id: TaskId;
  readonly name: string;
  readonly key: string | null;
  readonly userId: string | null;
  readonly type: TaskType;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly inputHash: string | null;
  readonly keyBase: number;
  readonly traceparent: string | null;
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  /** As said in `data`; one in the future makes the task wait for it. */
  readonly runAt: number | null;
  readonly delayMs: number | null;
  readonly expiresAt: number | null;
  /** JSON text. */
  readonly input: string;
  /** JSON text of the `d` of `created`, without `input`. Where the key's last task was pruned, the server adds its `keyBase`. */
  readonly data: string;
  /** False: trusted code, which the user's window does not count. */
  readonly countsForUser: boolean;
  /** The ended task that gives its key up, as the caller saw it. */
  readonly replaces: {
    readonly id: TaskId;
    readonly fence: number;
    readonly lastSeq: number;
    readonly deadLetteredAt: number | null;
  } | null;
}

export type SubmitOutcome =
  /** `keyBase` as it became. `started`: with fence 1, and its `start` as entry 2. */
  | { readonly kind: 'created'; readonly at: number; readonly keyBase: number; readonly started: boolean }
  /** The key belongs to this task. `earlier`: index of the task of this very call that has it. */
  | { readonly kind: 'existing'; readonly id: TaskId }
  /** `retryAfterMs` exact for windows, undefined elsewhere. */
  | {
      readonly kind: 'refused';
      readonly limit: 'global' | 'user' | 'queue' | 'delayed' | 'slot';
      readonly retryAfterMs: number | undefined;
    }
  /** The task to be replaced is not as it was: read it again. */
  | { readonly kind: 'stale' }
  /** Only with `all`: another one of the call was not created. */
  | { readonly kind: 'withheld' };

export interface SubmitAnswer {
  readonly now: number;
  /** In the order of the tasks. */
  readonly outcomes: readonly SubmitOutcome[];
}
