import { createHash } from 'node:crypto';
import type { FactDraft } from '../contracts/fact-port.interface.js';
import type { TaskId } from '../contracts/ids.js';
import type { Submission, SubmitRequest } from '../contracts/submission.interface.js';
import { ConflictError } from '../errors/request.errors.js';
import { canonicalJson, inputHash } from './json-encoding.js';
import type { TaskState } from './task-state.js';

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

/** Has an ended task give its key to the task `to`; stale when it is no longer as it was read. */
export function supersession(replaced: TaskState, to: TaskId): FactDraft {
  const isDead = replaced.deadLetteredAt !== null;
  const data = { supersededBy: to, ...(isDead ? {} : { dead: false }) };
  const expect = { status: [replaced.status], fence: replaced.fence, life: replaced.life, deadLettered: isDead };
  return { type: 'dlq-removed', taskId: replaced.id, data, expect };
}
