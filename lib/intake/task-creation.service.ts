import { setMaxListeners } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, FACT_PORT, ID_SOURCE, TASKFLOW_OPTIONS, TELEMETRY } from '../config/taskflow.tokens.js';
import { TaskflowOptions } from '../config/taskflow.options.js';
import type { Clock, IdSource } from '../contracts/clock.interface.js';
import type { FactDraft, FactPort } from '../contracts/fact-port.interface.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import { taskId } from '../contracts/ids.js';
import type { Submission, SubmitRequest } from '../contracts/submission.interface.js';
import type { SubmitParams } from '../contracts/task-system.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';
import type { SlotLease } from '../contracts/work-feed.interface.js';
import { encodeJson, inputHash, type JsonLimits } from '../domain/json-encoding.js';
import { changed, type TaskState } from '../domain/task-state.js';
import { ShuttingDownError } from '../errors/admission.errors.js';
import { ConflictError } from '../errors/request.errors.js';
import { ExecutorService } from '../executor/executor.service.js';
import { Deferred } from '../primitives/deferred.js';
import { CreatedEntries } from './created-entries.js';
import { allowsReuse, derivedKey } from './submission.js';
import { parseSubmit } from './submit-request.js';

const EXPECT_CREATED = Object.freeze({ status: ['created'] as const });

/** What one submit and many have in common: from parameters to drafts, from a durable task to the executor, and the end of it all. */
@Injectable()
export class TaskCreation {
  /** Aborts when nothing new is created any more, but by running tasks. */
  readonly stopping = new AbortController();
  /** Submits that hold a slot or have been queued for the log, and are not handed over yet. */
  private underWay = 0;
  private settled = new Deferred();
  private readonly entries = new CreatedEntries();
  private readonly inputLimits: JsonLimits;

  constructor(
    @Inject(TASKFLOW_OPTIONS) options: TaskflowOptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(ID_SOURCE) private readonly ids: IdSource,
    @Inject(FACT_PORT) private readonly facts: FactPort,
    @Inject(TELEMETRY) private readonly telemetry: Telemetry,
    private readonly executor: ExecutorService,
  ) {
    this.inputLimits = { field: 'input', maxBytes: options.limits.maxInputBytes, maxDepth: options.limits.maxDepth };
    // Everyone who waits for a slot listens; a crowd of them is no leak.
    setMaxListeners(0, this.stopping.signal);
  }

  stop(): Promise<void> {
    this.stopping.abort(new ShuttingDownError());
    return this.handedOver();
  }

  /** Resolves when all that is on its way to the disk is handed over. */
  handedOver(): Promise<void> {
    return this.underWay === 0 ? Promise.resolve() : this.settled.promise;
  }

  begin(): void {
    this.underWay++;
  }

  end(): void {
    this.underWay--;
    if (this.underWay > 0) return;
    const { settled } = this;
    this.settled = new Deferred();
    settled.resolve();
  }

  /** @throws ShuttingDownError once the system stops, unless a running task asks; with a slot, also then. */
  refuseWhenStopping(withSlot: boolean, isFromRun: boolean): void {
    const { signal } = this.stopping;
    if (signal.aborted && (withSlot || !(isFromRun || this.executor.isInsideRun))) signal.throwIfAborted();
  }

  /** @throws ValidationError naming the first field at fault. */
  encode(handler: RegisteredHandler, params: SubmitParams<unknown>, isFromRun: boolean): Submission {
    const request = parseSubmit(params, handler, this.clock.now());
    const input = encodeJson(params.input ?? null, this.inputLimits);
    const key = request.key ?? (handler.idempotency === 'input' ? derivedKey(handler.name, input, request.userId) : null);
    return { handler, request, input, key, inputHash: key === null ? null : inputHash(input), isFromRun };
  }

  isDelayed({ runAt }: SubmitRequest): boolean {
    return runAt !== undefined && runAt > this.clock.now();
  }

  isLate({ expiresAt }: SubmitRequest): boolean {
    return expiresAt !== undefined && expiresAt <= this.clock.now();
  }

  /** A slot for a task that starts in the frame of its own `created`; null: it waits. */
  reserve({ handler, request }: Submission): SlotLease | null {
    return this.isDelayed(request) || this.isLate(request) ? null : this.executor.reserve(handler.name, request.userId);
  }

  /** Whether this task gives its key to that submit; another log's never does, as only its own process may write to it. */
  mayReplace(submission: Submission, existing: TaskState): boolean {
    return allowsReuse(submission.request, existing) && this.facts.canWrite(existing);
  }

  /** @throws ConflictError where the key could be used again, were its task this log's. */
  refuseElsewhere(submission: Submission, existing: TaskState): void {
    if (!allowsReuse(submission.request, existing) || this.facts.canWrite(existing)) return;
    throw new ConflictError('HOME_ELSEWHERE', 'The task of this key belongs to the log of another process; use its key again there.');
  }

  /** @param keyBase where streams by key begin to number its events. */
  drafts({ handler, request, input, key, inputHash: hash }: Submission, start: boolean, keyBase = 0): FactDraft[] {
    const id = taskId(this.ids.uuid());
    const facts = { handler, request, key, inputHash: hash, keyBase, traceparent: this.telemetry.traceparent() };
    const created = this.entries.draft(id, facts, input);
    return start ? [created, { type: 'start', taskId: id, expect: EXPECT_CREATED }] : [created];
  }

  /** Has an ended task give its key to the task of these drafts. */
  supersession(replaced: TaskState, [created]: readonly FactDraft[]): FactDraft[] {
    const isDead = replaced.deadLetteredAt !== null;
    const data = { supersededBy: created!.taskId, ...(isDead ? {} : { dead: false }) };
    const expect = { status: [replaced.status], fence: replaced.fence, life: replaced.life, deadLettered: isDead };
    return [{ type: 'dlq-removed', taskId: replaced.id, data, expect }];
  }

  /** @param value what `handle` gets; undefined: the run parses the input itself, when its turn comes. */
  handOver(task: TaskState, { handler, input }: Submission, slot: SlotLease | null, value: unknown): void {
    this.telemetry.count('taskflow.tasks.submitted', 1, { 'taskflow.task.name': handler.name });
    if (slot === null) this.executor.enqueue(task, input);
    else this.executor.launch(changed(task, { input }), slot, value);
  }
}
