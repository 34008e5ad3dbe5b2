import type { FactDraft } from '../contracts/fact-port.interface.js';
import type { EntryData } from '../contracts/log-entry.interface.js';
import { isControl } from './entry-types.js';
import { cancelDataOf, supersededByOf } from './fold.js';
import type { TaskStatus } from '../contracts/task.interface.js';
import { isEnded, type TaskState } from './task-state.js';

/** The newest fold that appends are checked against, entries on their way included. */
export interface PendingHead {
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly fence: number;
  readonly life: number;
  readonly lastSeq: number;
  readonly cancelRequest: { readonly reason?: string } | null;
  readonly deadLettered: boolean;
  /** Its key was given to a newer task. */
  readonly superseded: boolean;
}

export const pendingOf = (state: TaskState): PendingHead => ({
  status: state.status,
  attempt: state.attempt,
  fence: state.fence,
  life: state.life,
  lastSeq: state.lastSeq,
  cancelRequest: state.cancelRequest,
  deadLettered: state.deadLetteredAt !== null,
  superseded: state.supersededBy !== null,
});

const NOTHING: EntryData = Object.freeze({});

/** The head before anything is known of a task: only `created` may follow. */
const UNBORN: PendingHead = {
  status: 'created',
  attempt: 1,
  fence: 0,
  life: 1,
  lastSeq: 0,
  cancelRequest: null,
  deadLettered: false,
  superseded: false,
};

/** After `created`: the same for every task. */
const CREATED: PendingHead = Object.freeze({ ...UNBORN, lastSeq: 1 });

/** True when the draft may follow this head: what it expects holds, and its type fits the state. */
export function admits(head: PendingHead | null, draft: FactDraft): boolean {
  if (draft.type === 'created') return head === null;
  if (head === null) return false;
  const { expect } = draft;
  if (expect?.fence !== undefined && expect.fence !== head.fence) return false;
  if (expect?.life !== undefined && expect.life !== head.life) return false;
  if (expect?.deadLettered !== undefined && expect.deadLettered !== head.deadLettered) return false;
  if (expect?.status !== undefined && !expect.status.includes(head.status)) return false;
  return fits(head, draft);
}

/** The transition table, drawn in docs/architecture.md, with the control entries. Callers' expectations are narrower; this holds whatever they forget. */
function fits(head: PendingHead, draft: FactDraft): boolean {
  switch (draft.type) {
    case 'start':
      return head.status === 'created' && head.cancelRequest === null;
    case 'progress':
    case 'custom':
    case 'heartbeat':
      return head.status === 'running';
    // A run that was asked to stop ends cancelled, whoever ends it: were it put back instead, no `start` could ever follow.
    case 'recovered':
    case 'complete':
      return head.status === 'running' && head.cancelRequest === null;
    case 'error':
      return (head.status === 'running' || head.status === 'created') && head.cancelRequest === null;
    case 'retry':
      // The key of a superseded one belongs to a newer task: two at once would be what keys are there to prevent.
      if (draft.data?.['reason'] === 'manual') return (head.status === 'failed' || head.status === 'cancelled') && !head.superseded;
      return head.status === 'running' && head.cancelRequest === null;
    case 'cancelled':
      return head.status === 'created' || head.status === 'running';
    case 'cancel':
      return head.status === 'running' && head.cancelRequest === null;
    case 'dlq-removed':
      if (supersededByOf(draft.data ?? NOTHING) !== undefined) return isEnded(head.status) && !head.superseded;
      return head.status === 'failed' && head.deadLettered;
    case 'pruned':
      return isEnded(head.status);
    case 'adopted':
      return !isEnded(head.status);
    default:
      return false;
  }
}

/** What the next draft is checked against. `pruned` leaves nothing behind: null. */
export function advance(head: PendingHead | null, draft: FactDraft): PendingHead | null {
  if (head === null && draft.type === 'created') return CREATED;
  const before = head ?? UNBORN;
  const lastSeq = isControl(draft.type) ? before.lastSeq : before.lastSeq + 1;
  switch (draft.type) {
    case 'start':
      return successor(before, lastSeq, 'running', before.fence + 1);
    case 'retry': {
      const reason = draft.data?.['reason'];
      if (reason === 'manual') {
        return { ...before, lastSeq, status: 'created', life: before.life + 1, attempt: 1, cancelRequest: null, deadLettered: false };
      }
      return { ...before, lastSeq, status: 'created', attempt: before.attempt + (reason === 'failed' ? 1 : 0) };
    }
    case 'recovered':
      return { ...before, lastSeq, status: 'created' };
    case 'complete':
      return successor(before, lastSeq, 'completed', before.fence);
    case 'error':
      return { ...before, lastSeq, status: 'failed', deadLettered: true };
    case 'cancelled':
      return { ...before, lastSeq, status: 'cancelled' };
    case 'cancel':
      return { ...before, cancelRequest: cancelDataOf(draft.data ?? {}) };
    case 'dlq-removed':
      return { ...before, deadLettered: false, superseded: before.superseded || supersededByOf(draft.data ?? NOTHING) !== undefined };
    case 'pruned':
      return null;
    default:
      return lastSeq === before.lastSeq ? before : successor(before, lastSeq, before.status, before.fence);
  }
}

/** Member by member: a spread takes twice the memory, and there is one for each entry that a run makes. */
const successor = (before: PendingHead, lastSeq: number, status: TaskStatus, fence: number): PendingHead => ({
  status,
  attempt: before.attempt,
  fence,
  life: before.life,
  lastSeq,
  cancelRequest: before.cancelRequest,
  deadLettered: before.deadLettered,
  superseded: before.superseded,
});
