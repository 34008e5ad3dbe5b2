import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, FACT_PORT, ID_SOURCE, TASKFLOW_OPTIONS, TELEMETRY } from '../config/taskflow.tokens.js';
import { TaskflowOptions } from '../config/taskflow.options.js';
import type { Clock, IdSource } from '../contracts/clock.interface.js';
import type { FactDraft, FactPort } from '../contracts/fact-port.interface.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import { taskId } from '../contracts/ids.js';
import type { SubmitParams } from '../contracts/task-system.interface.js';
import type { Task } from '../contracts/task.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import type { SlotLease } from '../contracts/work-feed.interface.js';
import { encodeJson, canonicalJson, inputHash, type JsonLimits } from '../domain/json-encoding.js';
import { scopedKey } from '../domain/task-key.js';
import { createdSnapshotOf, snapshotOf } from '../domain/task-snapshot.js';
import { changed, type TaskState } from '../domain/task-state.js';
import { ShuttingDownError, SlotTimeoutError } from '../errors/admission.errors.js';
import { ConflictError } from '../errors/request.errors.js';
import { ExecutorService } from '../executor/executor.service.js';
import { validateInput } from '../executor/input-validation.js';
import { Deferred } from '../primitives/deferred.js';
import { KeyReservations } from '../engines/local/ledger/key-reservations.service.js';
import type { AdmissionTicket, Entry } from '../guard/guard.service.js';
import { GuardService } from '../guard/guard.service.js';
import { CreatedEntries } from './created-entries.js';
import { parseSubmit, type SubmitRequest } from './submit-request.js';
import { failpoint } from '../primitives/failpoint.js';

const EXPECT_CREATED = Object.freeze({ status: ['created'] as const });

/** A submit that passed every check of its own. */
interface Submission {
  readonly handler: RegisteredHandler;
  readonly request: SubmitRequest;
  /** The caller's JSON: stored, hashed. */
  readonly input: string;
  readonly key: string | null;
  readonly inputHash: string | null;
}

/** From a request to a durable task: validate, find the key, admit, append, hand over. */
@Injectable()
export class IntakeService {
  /** Submits that hold a slot or have been queued for the log, and are not handed over yet. */
  private underWay = 0;
  private readonly stopping = new AbortController();
  private settled = new Deferred();
  private readonly entries = new CreatedEntries();
  private readonly inputLimits: JsonLimits;

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(ID_SOURCE) private readonly ids: IdSource,
    @Inject(FACT_PORT) private readonly facts: FactPort,
    @Inject(TELEMETRY) private readonly telemetry: Telemetry,
    private readonly keys: KeyReservations,
    private readonly guard: GuardService,
    private readonly executor: ExecutorService,
  ) {
    this.inputLimits = { field: 'input', maxBytes: options.limits.maxInputBytes, maxDepth: options.limits.maxDepth };
    // Everyone who waits for a slot listens; a crowd of them is no leak.
    setMaxListeners(0, this.stopping.signal);
  }

  /**
   * The task as of its `created` event, or the existing task of the same key.
   * @throws ValidationError at once for what is wrong with the call itself; the promise rejects with the rest.
   */
  submit(handler: RegisteredHandler, params: SubmitParams<unknown>): Promise<Task> {
    const submission = this.encode(handler, params);
    if (submission.key === null && handler.input === undefined && handler.schema === undefined) return this.create(submission);
    return this.submitChecked(submission);
  }

  private async submitChecked(submission: Submission): Promise<Task> {
    const { handler, request, key } = submission;
    const validates = handler.input !== undefined || handler.schema !== undefined;
    const value = validates ? await validateInput(handler, JSON.parse(submission.input)) : undefined;
    if (key === null) return await this.create(submission, value);
    const found = await this.keys.resolve(scopedKey(taskId(''), request.userId, key));
    if ('existing' in found) return snapshotOf(sameTask(found.existing, submission));
    try {
      const task = await this.create(submission, value);
      found.reservation.created();
      return task;
    } catch (error) {
      found.reservation.failed(error);
      throw error;
    }
  }

  /**
   * From here on only running tasks create new ones, and nothing starts at its submit: what waits for a key or a slot is refused.
   * Resolves when all that was on its way to the disk is handed over, so that what runs then is known to whoever stops it.
   */
  stop(): Promise<void> {
    this.stopping.abort(new ShuttingDownError());
    return this.handedOver();
  }

  /** Resolves when all that is on its way to the disk is handed over. */
  handedOver(): Promise<void> {
    return this.underWay === 0 ? Promise.resolve() : this.settled.promise;
  }

  private refuseWhenStopping(slot: SlotLease | null): void {
    const { signal } = this.stopping;
    if (signal.aborted && (slot !== null || !this.executor.isInsideRun)) signal.throwIfAborted();
  }

  private encode(handler: RegisteredHandler, params: SubmitParams<unknown>): Submission {
    const request = parseSubmit(params, handler, this.clock.now());
    const input = encodeJson(params.input ?? null, this.inputLimits);
    const key = request.key ?? (handler.idempotency === 'input' ? derivedKey(handler.name, input, request.userId) : null);
    return { handler, request, input, key, inputHash: key === null ? null : inputHash(input) };
  }

  /** @param value what `handle` gets; undefined where nothing is validated: then the run parses the input itself, when its turn comes. */
  private async create(submission: Submission, value?: unknown): Promise<Task> {
    const { handler, request } = submission;
    this.refuseWhenStopping(null);
    const isDelayed = request.runAt !== undefined && request.runAt > this.clock.now();
    let slot = isDelayed || this.isLate(request) ? null : this.executor.reserve(handler.name, request.userId);
    this.underWay++;
    let ticket: AdmissionTicket | undefined;
    try {
      ticket = await this.guard.admit(request.userId, entryOf(request, isDelayed, slot), request.isTrusted);
      if (slot === null && request.waitForSlot) slot = await this.waitForSlot(handler.name, request.userId, ticket);
      // The slot may have been granted in the very turn of the stop.
      this.refuseWhenStopping(slot);
      if (slot !== null && this.isLate(request)) {
        // It expired while it waited for its slot. It is created, since nothing else could tell of it, and never starts.
        slot.release();
        slot = null;
      }
      const drafts = this.drafts(submission, slot !== null);
      failpoint('submit.before-append');
      const outcome = await this.facts.append(drafts);
      failpoint('submit.after-durable');
      if (outcome.kind !== 'applied') throw new Error(`A new task cannot be ${outcome.kind}.`); // ids are unique
      this.handOver(outcome.task, submission, slot, value);
      this.guard.entered(ticket);
      return createdSnapshotOf(outcome.task, submission.input);
    } catch (error) {
      if (ticket !== undefined) this.guard.giveBack(ticket);
      slot?.release();
      throw error;
    } finally {
      this.underWay--;
      if (this.underWay === 0) this.allHandedOver();
    }
  }

  private isLate({ expiresAt }: SubmitRequest): boolean {
    return expiresAt !== undefined && expiresAt <= this.clock.now();
  }

  /** A process that runs nothing, or nothing yet, has slots, but none to give. */
  private async waitForSlot(name: string, userId: string | null, ticket: AdmissionTicket): Promise<SlotLease> {
    this.stopping.signal.throwIfAborted();
    if (!this.executor.takesWork) throw new SlotTimeoutError(0, this.options.guard.slots.slotTimeoutMs);
    const slot = await this.guard.slots.acquire(name, userId, this.stopping.signal);
    this.guard.entered(ticket);
    return slot;
  }

  private allHandedOver(): void {
    const { settled } = this;
    this.settled = new Deferred();
    settled.resolve();
  }

  private handOver(task: TaskState, { handler, input }: Submission, slot: SlotLease | null, value: unknown): void {
    this.telemetry.count('taskflow.tasks.submitted', 1, { 'taskflow.task.name': handler.name });
    if (slot === null) this.executor.enqueue(task, input);
    else this.executor.launch(changed(task, { input }), slot, value);
  }

  private drafts({ handler, request, input, key, inputHash: hash }: Submission, start: boolean): FactDraft[] {
    const id = taskId(this.ids.uuid());
    const facts = { handler, request, key, inputHash: hash, traceparent: this.telemetry.traceparent() };
    const created = this.entries.draft(id, facts, input);
    return start ? [created, { type: 'start', taskId: id, expect: EXPECT_CREATED }] : [created];
  }
}

function entryOf({ waitForSlot }: SubmitRequest, isDelayed: boolean, slot: SlotLease | null): Entry {
  if (slot !== null) return 'start';
  if (isDelayed) return 'delayed';
  return waitForSlot ? 'slot' : 'queue';
}

/** A key that stands for name, input and user: it ends as a chosen key in every rule. */
function derivedKey(name: string, input: string, userId: string | null): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([name, userId]))
    .update(canonicalJson(input));
  return `input:${hash.digest('hex')}`;
}

function sameTask(existing: TaskState, submission: Submission): TaskState {
  const hash = existing.inputHash ?? (existing.input === undefined ? null : inputHash(existing.input));
  if (existing.name === submission.handler.name && hash === submission.inputHash) return existing;
  throw new ConflictError('IDEMPOTENCY_CONFLICT', 'This idempotency key belongs to a task with another name or input. Choose another key.');
}
