import type { CancelRequest, FactDraft } from '../contracts/fact-port.interface.js';
import type { TaskState } from './task-state.js';

/** How many crashes a task survives, and how long a run must have lived not to be blamed for one. */
export interface CrashBounds {
  readonly maxRecoveriesPerTask: number;
  readonly staleThresholdMs: number;
}

/**
 * What becomes of a run whose process is gone: it waits again, fails after too many crashes in a row, or is cancelled as was asked. Pure.
 * @param state running, as it was left. @param reason `stale`: its node lost its lease.
 */
export function crashVerdict(state: TaskState, request: CancelRequest | null, reason: 'crash' | 'stale', bounds: CrashBounds): FactDraft {
  const expect = { status: ['running'] as const, fence: state.fence };
  if (request !== null) {
    const data = request.reason === undefined ? {} : { data: { reason: request.reason } };
    return { type: 'cancelled', taskId: state.id, ...data, expect };
  }
  const recoveries = livedLong(state, bounds) ? 1 : state.recoveries + 1;
  if (recoveries <= bounds.maxRecoveriesPerTask) return { type: 'recovered', taskId: state.id, data: { reason, recoveries }, expect };
  const error = {
    name: 'CrashLoopError',
    code: 'CRASH_LOOP',
    message: `The process died ${recoveries} times in a row while this task ran.`,
    retryable: false,
  };
  return { type: 'error', taskId: state.id, data: { error }, expect };
}

/** A run that sent heartbeats for `staleThresholdMs` or longer probably did not cause the crash, so crashes are counted from 1 again. */
const livedLong = (state: TaskState, { staleThresholdMs }: CrashBounds): boolean =>
  (state.lastHeartbeatAt ?? 0) - (state.startedAt ?? 0) >= staleThresholdMs;
