import type { EntryType } from '../../../contracts/task-event.interface.js';
import type { CancelRequest, TaskState } from '../../../domain/task-state.js';

/** 1: its process died. 2: it did so repeatedly. Each has a bound of its own on runs at once. */
export type WorkKind = 0 | 1 | 2;

/** One row of events. `n` > 1: consecutive entries of one run in a row, `seq` is the last one's; see `packed-entries.ts`. */
export interface EventRow {
  readonly seq: number;
  readonly n: number;
  readonly type: EntryType | 'packed';
  readonly at: number;
  readonly attempt: number;
  readonly fence: number;
  readonly data: string;
}

/** Where the caller saw the task. All that is given must hold, or the task is left alone. */
export interface SeenPlace {
  /** `foreign`: an unfinished task of a log's home, in no place of the cluster. */
  readonly place: 'queue' | 'runs' | 'ended' | 'foreign';
  readonly fence: number;
  /** Null, for marks on a run alone: whatever its run reported meanwhile. */
  readonly lastSeq: number | null;
  /** `runs`: nobody asked for its end. */
  readonly uncancelled?: boolean;
  /** `ended`: control entries have no sequence, so that these are compared too. */
  readonly deadLetteredAt?: number | null;
  readonly supersededBy?: string | null;
  /** `foreign`: the log that it belongs to. */
  readonly home?: string;
}

export type NextPlace =
  | { readonly place: 'queue'; readonly kind: WorkKind; /** Null: ready. */ readonly dueAt: number | null }
  /** Stays in `runs`: what changes there. `progressSeq`: the newest `progress` entry of the life. */
  | {
      readonly place: 'runs';
      readonly progressSeq?: number;
      readonly kind?: WorkKind;
      readonly cancelRequest?: CancelRequest;
    }
  | { readonly place: 'ended' }
  /** Pruned: row and events go; its key is remembered. Where a task has more than 10,000 events, `trim` it first. */
  | { readonly place: 'gone' };

export interface Move {
  readonly seen: SeenPlace;
  readonly next: NextPlace;
  /** The task as it is afterwards. Its row is written unless the task stays in `runs`. */
  readonly task: TaskState;
  /** Its new entries; none for control entries. */
  readonly entries: readonly EventRow[];
}

export interface ApplyCall {
  readonly me: string;
  readonly moves: readonly Move[];
  readonly lockMs: number;
}

/** `applied` also where an earlier call of the same arguments did it; `stale`: read the newest state and decide again. */
export type MoveOutcome = 'applied' | 'stale';

export interface ApplyAnswer {
  readonly now: number;
  /** In the order of the moves. */
  readonly outcomes: readonly MoveOutcome[];
}
