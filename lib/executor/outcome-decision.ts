import type { RecoveryReason } from '../contracts/task-handler.interface.js';
import type { CancelRequest, FactDraft } from '../contracts/fact-port.interface.js';
import type { EntryData } from '../contracts/log-entry.interface.js';
import type { TaskErrorInfo, TaskStatus } from '../contracts/task.interface.js';
import { MAX_TIME } from '../domain/bounds.js';
import type { TaskState } from '../domain/task-state.js';
import type { ComeAgain } from './come-again.js';

type Interruption = RecoveryReason;

/** What became of the handler's call. `silent`: nothing that counts, since it was abandoned, interrupted or never called. */
export type Settlement =
  | { readonly kind: 'returned'; /** JSON text of `d`. */ readonly body: string }
  | {
      readonly kind: 'threw';
      readonly error: TaskErrorInfo;
      /** Where the error says when to come again. */ readonly comeAgain?: ComeAgain | undefined;
      /** What the next run is to recover from, since this one did not come to its end. */ readonly unrecovered?: Interruption | undefined;
    }
  | { readonly kind: 'silent' };

/** Why a run's signal fired. `entry`: it made an entry that cannot be stored. After `halted` and `fenced` nothing is written. */
export type Verdict = 'timeout' | 'cancel' | 'shutdown' | 'entry' | 'halted' | 'fenced';

export interface DecisionInput {
  readonly task: TaskState;
  readonly settlement: Settlement;
  readonly verdict: Verdict | undefined;
  /** How the attempt failed when the verdict is `timeout` or `entry`. */
  readonly verdictError: TaskErrorInfo | undefined;
  readonly cancelRequest: CancelRequest | null;
  /** Wall clock, epoch ms. */
  readonly now: number;
  /** Delay before the next attempt, drawn when it is needed. Unit: ms. */
  readonly backoffMs: () => number;
}

export type RunOutcome = 'completed' | 'failed' | 'cancelled' | 'retried' | 'postponed' | 'released';
export interface Decision {
  readonly outcome: RunOutcome;
  readonly draft: FactDraft;
}

/** Times in one life that a task may be put off for nothing: a handler that is always told to come again ends some day. */
const MAX_POSTPONEMENTS = 1_000;
const RUNNING: readonly TaskStatus[] = ['running'];
const SILENCE: TaskErrorInfo = { name: 'Error', message: 'The handler was interrupted and gave no result.', retryable: true };

/**
 * The entry that ends a run, from what is known in this turn. Pure: it is asked again when its last answer was refused or came too late,
 * and a cancel request that was refused meanwhile then no longer counts.
 */
export function decide(input: DecisionInput): Decision {
  const { settlement, verdict, cancelRequest } = input;
  const comeAgain = settlement.kind === 'threw' ? settlement.comeAgain : undefined;
  if (cancelRequest !== null) return cancelled(input, cancelRequest);
  if (verdict === 'timeout' || verdict === 'entry') return attemptFailed(input, input.verdictError ?? SILENCE);
  if (settlement.kind === 'returned') return entry(input, 'completed', 'complete', undefined, settlement.body);
  // The cancel request aborted this run before its handler was called, and the log then refused the request. Nothing failed, so
  // release the task instead of counting a failed attempt.
  if (verdict === 'shutdown' || (verdict === 'cancel' && settlement.kind === 'silent')) return released(input, comeAgain);
  return attemptFailed(input, settlement.kind === 'threw' ? settlement.error : SILENCE, comeAgain);
}

function attemptFailed(input: DecisionInput, error: TaskErrorInfo, comeAgain?: ComeAgain): Decision {
  const { attempt, maxAttempts, postponements } = input.task;
  const isFree = comeAgain?.countsAsAttempt === false && postponements < MAX_POSTPONEMENTS;
  if (!isFree && (!error.retryable || attempt >= maxAttempts)) return entry(input, 'failed', 'error', { error });
  const wait = waitOf(input, comeAgain?.afterMs ?? input.backoffMs());
  return isFree
    ? entry(input, 'postponed', 'retry', { reason: 'later', ...wait, error, ...unrecovered(input) })
    : entry(input, 'retried', 'retry', { reason: 'failed', ...wait, error });
}

/** A run that costs nothing changes nothing: what its `recover` put off is recovered by the next one. */
const unrecovered = ({ settlement }: DecisionInput): { resume?: Interruption } =>
  settlement.kind === 'threw' && settlement.unrecovered !== undefined ? { resume: settlement.unrecovered } : {};

/** A handler that was told to come again later, and then to stop, comes again later all the same. */
const released = (input: DecisionInput, comeAgain?: ComeAgain): Decision =>
  entry(input, 'released', 'retry', { reason: 'shutdown', ...waitOf(input, comeAgain?.afterMs ?? 0) });

const waitOf = ({ now }: DecisionInput, delayMs: number): { runAt: number; delayMs: number } => ({
  runAt: Math.min(now + delayMs, MAX_TIME),
  delayMs,
});

const cancelled = (input: DecisionInput, { reason }: { readonly reason?: string }): Decision =>
  entry(input, 'cancelled', 'cancelled', reason === undefined ? undefined : { reason });

function entry({ task }: DecisionInput, outcome: RunOutcome, type: FactDraft['type'], data?: EntryData, body?: string): Decision {
  const expect = { fence: task.fence, status: RUNNING };
  const content = body !== undefined ? { body } : data !== undefined ? { data } : {};
  return { outcome, draft: { type, taskId: task.id, expect, ...content } };
}
