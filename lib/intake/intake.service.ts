import { Inject, Injectable } from '@nestjs/common';
import { FACT_PORT, TASKFLOW_OPTIONS } from '../config/taskflow.tokens.js';
import { TaskflowOptions } from '../config/taskflow.options.js';
import type { FactOutcome, FactPort, FactsOutcome } from '../contracts/fact-port.interface.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import { taskId } from '../contracts/ids.js';
import type { Submission } from '../contracts/submission.interface.js';
import type { SubmitParams } from '../contracts/task-system.interface.js';
import type { Task } from '../contracts/task.interface.js';
import type { SlotLease } from '../contracts/work-feed.interface.js';
import { scopedKey } from '../domain/task-key.js';
import { createdSnapshotOf, snapshotOf } from '../domain/task-snapshot.js';
import type { TaskState } from '../domain/task-state.js';
import { SlotTimeoutError } from '../errors/admission.errors.js';
import { ExecutorService } from '../executor/executor.service.js';
import { validateInput } from '../executor/input-validation.js';
import { type FoundKey, type KeyReservation, KeyReservations } from '../engines/local/ledger/key-reservations.service.js';
import type { AdmissionTicket } from '../guard/guard.service.js';
import { GuardService } from '../guard/guard.service.js';
import { failpoint } from '../primitives/failpoint.js';
import { entryOf, sameTask } from './submission.js';
import { TaskCreation } from './task-creation.service.js';

/** From a request to a durable task: validate, find the key, admit, append, hand over. */
@Injectable()
export class IntakeService {
  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(FACT_PORT) private readonly facts: FactPort,
    private readonly creation: TaskCreation,
    private readonly keys: KeyReservations,
    private readonly guard: GuardService,
    private readonly executor: ExecutorService,
  ) {}

  /**
   * The task as of its `created` event, or the existing task of the same key.
   * @param isFromRun a running task asks, as was seen already; else it is looked for where it matters.
   * @throws ValidationError at once for what is wrong with the call itself; the promise rejects with the rest.
   */
  submit(handler: RegisteredHandler, params: SubmitParams<unknown>, isFromRun = false): Promise<Task> {
    const submission = this.creation.encode(handler, params, isFromRun);
    if (submission.key === null && handler.input === undefined && handler.schema === undefined)
      return this.create(submission) as Promise<Task>;
    return this.submitChecked(submission);
  }

  private async submitChecked(submission: Submission): Promise<Task> {
    const { handler, request, key } = submission;
    const validates = handler.input !== undefined || handler.schema !== undefined;
    const value = validates ? await validateInput(handler, JSON.parse(submission.input)) : undefined;
    if (key === null) return (await this.create(submission, value)) as Task;
    const scoped = scopedKey(taskId(''), request.userId, key);
    for (;;) {
      const found = await this.keys.resolve(scoped, (existing) => this.creation.mayReplace(submission, existing));
      if ('existing' in found) {
        this.creation.refuseElsewhere(submission, found.existing);
        return snapshotOf(sameTask(found.existing, submission));
      }
      try {
        const task = await this.create(submission, value, found.reservation);
        found.reservation.created();
        if (task !== undefined) return task;
      } catch (error) {
        found.reservation.failed(error);
        throw error;
      }
    }
  }

  /** As `submit` finds its key, for many at once. */
  resolveKeys(keys: readonly string[], mayReplace: (scoped: string, existing: TaskState) => boolean): Promise<Map<string, FoundKey>> {
    return this.keys.resolveMany(keys, mayReplace);
  }

  /**
   * From here on only running tasks create new ones, and nothing starts at its submit: what waits for a key or a slot is refused.
   * Resolves when all that was on its way to the disk is handed over, so that what runs then is known to whoever stops it.
   */
  stop(): Promise<void> {
    return this.creation.stop();
  }

  /** Resolves when all that is on its way to the disk is handed over. */
  handedOver(): Promise<void> {
    return this.creation.handedOver();
  }

  /**
   * @param value what `handle` gets; undefined where nothing is validated: then the run parses the input itself, when its turn comes.
   * @returns undefined: the task that was to give its key up was retried or pruned meanwhile.
   */
  private async create(submission: Submission, value?: unknown, reservation?: KeyReservation): Promise<Task | undefined> {
    const { handler, request, isFromRun } = submission;
    this.creation.refuseWhenStopping(false, isFromRun);
    let slot = this.creation.reserve(submission);
    this.creation.begin();
    let ticket: AdmissionTicket | undefined;
    try {
      ticket = await this.guard.admit(request.userId, entryOf(request, this.creation.isDelayed(request), slot), request.isTrusted);
      if (slot === null && request.waitForSlot) slot = await this.waitForSlot(handler.name, request.userId, ticket);
      // The slot may have been granted in the very turn of the stop.
      this.creation.refuseWhenStopping(slot !== null, isFromRun);
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
          : replacedBy(await this.facts.appendAll([this.creation.supersession(replaced, drafts), drafts]));
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
    if (!this.executor.takesWork) throw new SlotTimeoutError(0, this.options.guard.slots.slotTimeoutMs);
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
