import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { FactOutcome, FactPort, FactsOutcome } from '../../../contracts/fact-port.interface.js';
import { taskId } from '../../../contracts/ids.js';
import type { Submission } from '../../../contracts/submission.interface.js';
import type { TaskCreator } from '../../../contracts/task-creator.interface.js';
import type { Task } from '../../../contracts/task.interface.js';
import type { SlotLease } from '../../../contracts/work-feed.interface.js';
import { sameTask, supersession } from '../../../domain/key-rules.js';
import { scopedKey } from '../../../domain/task-key.js';
import { createdSnapshotOf, snapshotOf } from '../../../domain/task-snapshot.js';
import type { TaskState } from '../../../domain/task-state.js';
import { SlotTimeoutError } from '../../../errors/admission.errors.js';
import { type AdmissionTicket, GuardService } from '../../../guard/guard.service.js';
import { failpoint } from '../../../primitives/failpoint.js';
import { type KeyReservation, KeyReservations } from '../ledger/key-reservations.service.js';
import { LocalWorkFeed } from '../queue/local-work-feed.js';
import { ManyCreation } from './many-creation.service.js';
import { TaskCreation } from './task-creation.service.js';

/** From a submission to a durable task: find the key, admit, append, hand over. What one process knows of all submits is in its memory. */
export class LocalTaskCreator implements TaskCreator {
  constructor(
    private readonly options: TaskflowOptions,
    private readonly facts: FactPort,
    private readonly creation: TaskCreation,
    private readonly many: ManyCreation,
    private readonly keys: KeyReservations,
    private readonly guard: GuardService,
    private readonly work: LocalWorkFeed,
  ) {}

  create(submission: Submission, value: unknown): Promise<Task> {
    // Not behind an async function of its own: each promise around another costs every submit.
    return submission.key === null
      ? (this.createNew(submission, value) as Promise<Task>)
      : this.createOfKey(submission, submission.key, value);
  }

  createMany(submissions: readonly Submission[], values: readonly unknown[]): Promise<readonly Task[]> {
    return this.many.create(submissions, values);
  }

  stop(): Promise<void> {
    return this.creation.stop();
  }

  handedOver(): Promise<void> {
    return this.creation.handedOver();
  }

  private async createOfKey(submission: Submission, key: string, value: unknown): Promise<Task> {
    const scoped = scopedKey(taskId(''), submission.request.userId, key);
    for (;;) {
      const found = await this.keys.resolve(scoped, (existing) => this.creation.mayReplace(submission, existing));
      if ('existing' in found) {
        this.creation.refuseElsewhere(submission, found.existing);
        return snapshotOf(sameTask(found.existing, submission));
      }
      try {
        const task = await this.createNew(submission, value, found.reservation);
        found.reservation.created();
        if (task !== undefined) return task;
      } catch (error) {
        found.reservation.failed(error);
        throw error;
      }
    }
  }

  /** @returns undefined: the task that was to give its key up was retried or pruned meanwhile. */
  private async createNew(submission: Submission, value: unknown, reservation?: KeyReservation): Promise<Task | undefined> {
    const { handler, request } = submission;
    this.creation.refuseWhenStopping(false, submission);
    let slot = this.creation.reserve(submission);
    this.creation.begin();
    let ticket: AdmissionTicket | undefined;
    try {
      ticket = await this.guard.admit(request.userId, this.creation.entryOf(request, slot), request.isTrusted);
      if (slot === null && request.waitForSlot) slot = await this.waitForSlot(handler.name, request.userId, ticket);
      // The slot may have been granted in the very turn of the stop.
      this.creation.refuseWhenStopping(slot !== null, submission);
      if (slot !== null && this.creation.isLate(request)) {
        // It expired while it waited for its slot. It is created, since nothing else could tell of it, and never starts.
        slot.release();
        slot = null;
      }
      failpoint('submit.before-append');
      const drafts = this.creation.drafts(submission, slot !== null, reservation?.keyBase);
      const replaced = reservation?.replaced ?? null;
      // Not behind an async function of its own: each promise around another costs every submit.
      const task =
        replaced === null
          ? createdBy(await this.facts.append(drafts))
          : replacedBy(await this.facts.appendAll([[supersession(replaced, drafts[0]!.taskId)], drafts]));
      failpoint('submit.after-durable');
      if (task === null) {
        this.guard.giveBack(ticket);
        slot?.release();
        return undefined;
      }
      this.creation.handOver(task, submission, slot, value);
      this.guard.entered(ticket);
      return createdSnapshotOf(task, submission.input);
    } catch (error) {
      if (ticket !== undefined) this.guard.giveBack(ticket);
      slot?.release();
      throw error;
    } finally {
      this.creation.end();
    }
  }

  /** A process that runs nothing, or nothing yet, has slots, but none to give. */
  private async waitForSlot(name: string, userId: string | null, ticket: AdmissionTicket): Promise<SlotLease> {
    const { signal } = this.creation.stopping;
    signal.throwIfAborted();
    if (!this.work.isOpen) throw new SlotTimeoutError(0, this.options.guard.slots.slotTimeoutMs);
    const slot = await this.guard.slots.acquire(name, userId, signal);
    this.guard.entered(ticket);
    return slot;
  }
}

function createdBy(outcome: FactOutcome): TaskState {
  if (outcome.kind !== 'applied') throw new Error(`A new task cannot be ${outcome.kind}.`); // ids are unique
  return outcome.task;
}

/** Null: the task to be replaced is not as it was. */
const replacedBy = (outcome: FactsOutcome): TaskState | null => (outcome.kind === 'applied' ? outcome.tasks[1]! : null);
