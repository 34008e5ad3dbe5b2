import { createHash } from 'node:crypto';
import type { Submission, SubmitRequest } from '../contracts/submission.interface.js';
import type { SlotLease } from '../contracts/work-feed.interface.js';
import { canonicalJson, inputHash } from '../domain/json-encoding.js';
import type { TaskState } from '../domain/task-state.js';
import { ConflictError } from '../errors/request.errors.js';
import type { Entry } from '../guard/guard.service.js';

/** Whether `keyReuse` lets a new task have the key of this one. Never of one that may still do something. */
export function allowsReuse({ keyReuse }: SubmitRequest, { status }: TaskState): boolean {
  if (status === 'failed' || status === 'cancelled') return keyReuse !== 'never';
  return status === 'completed' && keyReuse === 'ended';
}

/** A task that has the key of a submit, as its answer. @throws ConflictError where it has another name or input. */
export function sameTask(existing: TaskState, submission: Submission): TaskState {
  const hash = existing.inputHash ?? (existing.input === undefined ? null : inputHash(existing.input));
  if (existing.name === submission.handler.name && hash === submission.inputHash) return existing;
  throw keyConflict();
}

export const keyConflict = (): ConflictError =>
  new ConflictError('IDEMPOTENCY_CONFLICT', 'This idempotency key belongs to a task with another name or input. Choose another key.');

/** A key that stands for name, input and user: it ends as a chosen key in every rule. */
export function derivedKey(name: string, input: string, userId: string | null): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([name, userId]))
    .update(canonicalJson(input));
  return `input:${hash.digest('hex')}`;
}

/** What the task will do first. */
export function entryOf({ waitForSlot }: SubmitRequest, isDelayed: boolean, slot: SlotLease | null): Entry {
  if (slot !== null) return 'start';
  if (isDelayed) return 'delayed';
  return waitForSlot ? 'slot' : 'queue';
}
