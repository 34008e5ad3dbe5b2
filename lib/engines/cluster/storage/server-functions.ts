import type { TaskId } from '../../../contracts/ids.js';
import type { CancelRequest, TaskState } from '../../../domain/task-state.js';
import type { ApplyAnswer, ApplyCall, WorkKind } from './apply-call.interface.js';
import type { RunLimits, SubmitAnswer, SubmitCall } from './submit-call.interface.js';

/**
 * What the server does, one call a transaction. The functions compare, move and insert; what follows what, and what a task then is, the
 * caller decides. All times are epoch ms of the database's clock, which each answer carries as `now`.
 *
 * Every call may be repeated with the same arguments after its answer was lost: what was done is found done, and is not done again.
 *
 * Rejections: a FactRefused (`RepositoryError`) whose `outcome` says whether the call may have been made; a call that only reads never
 * leaves that open.
 */
export interface ServerFunctions {
  /** All of a node's waiting submits in one call, at most 1,000. */
  submit(request: SubmitCall): Promise<SubmitAnswer>;
  /** Hands out work whose `start` is durable with this call. */
  claim(request: ClaimCall): Promise<ClaimAnswer>;
  /** Moves tasks, each at most once in a call, at most 1,000. What does not match any more is left as it is. */
  apply(request: ApplyCall): Promise<ApplyAnswer>;
  /** `apply`, then `claim`, in one transaction: the places of runs that end are free for the next ones. */
  step(request: ApplyCall, claim: ClaimCall): Promise<StepAnswer>;
  /** Makes tasks ready whose time has come, at most `limit` (up to 10,000). */
  due(limit: number): Promise<DueAnswer>;

  /** A new member: `id` was never used before. */
  register(member: NewMember): Promise<{ readonly now: number }>;
  /** One more beat. `alive` false: this incarnation was reaped, or never registered. */
  beat(me: string, draining: boolean): Promise<{ readonly now: number; readonly alive: boolean; readonly beat: number }>;
  /** Takes the member out; its runs are orphans from then on. Harmless when repeated. */
  leave(me: string): Promise<void>;
  members(): Promise<{ readonly now: number; readonly members: readonly Member[] }>;
  /** Takes a member out if its beat is still the one that was observed. True: this call did it, or an earlier one of the same beat. */
  reap(id: string, observedBeat: number): Promise<boolean>;
  /** Runs whose owner is no member, oldest task first, without bodies. At most 1,000. */
  orphans(limit: number): Promise<readonly HeldRun[]>;
  /** All runs of this owner: what it must adopt where memory does not know it, and who is to stop. */
  own(me: string): Promise<readonly OwnRun[]>;
  /** For `forMs` nobody else gets it. Used for retention and vacuum, which one node does for all. Renews what `me` holds. */
  hold(what: string, me: string, forMs: number): Promise<boolean>;
}

export interface ClaimCall {
  readonly me: string;
  /** The handlers that the caller has, each with its limit over all nodes. */
  readonly handlers: readonly { readonly name: string; readonly limit: number | null }[];
  /** At most this many, up to 1,000: the caller's own free places. */
  readonly want: number;
  readonly limits: RunLimits & { readonly recovering: number; readonly suspect: number };
  readonly lockMs: number;
}

export interface HeldRun {
  /** As the fold of its entries; `lastHeartbeatAt` is the last beat of its owner that was seen. */
  readonly task: TaskState;
  readonly kind: WorkKind;
}

export interface ClaimAnswer {
  readonly now: number;
  /** As of their `start`. `input` is undefined where it did not fit into 4 MiB with the others: load it. */
  readonly runs: readonly HeldRun[];
  /** True: more was ready than was taken, so that somebody else may be told. */
  readonly more: boolean;
}

export interface OwnRun {
  readonly id: TaskId;
  readonly fence: number;
  readonly lastSeq: number;
  readonly cancelRequest: CancelRequest | null;
}

export interface StepAnswer extends ApplyAnswer {
  readonly runs: readonly HeldRun[];
  readonly more: boolean;
}

export interface DueAnswer {
  readonly now: number;
  readonly moved: number;
  /** When the next one is due; null: none waits for a time. */
  readonly nextAt: number | null;
}

export interface NewMember {
  readonly id: string;
  readonly version: string;
  readonly handlers: readonly string[];
  /** Of the options that all nodes must share. */
  readonly configHash: string;
}

export interface Member extends NewMember {
  readonly beat: number;
  /** For people: clocks are not compared. */
  readonly beatAt: number;
  readonly draining: boolean;
}
