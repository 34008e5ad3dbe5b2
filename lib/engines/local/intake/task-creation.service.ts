import { setMaxListeners } from 'node:events';
import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { FactDraft, FactPort } from '../../../contracts/fact-port.interface.js';
import { taskId } from '../../../contracts/ids.js';
import type { Submission, SubmitRequest } from '../../../contracts/submission.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import type { SlotLease } from '../../../contracts/work-feed.interface.js';
import { CreatedEntries } from '../../../domain/created-entries.js';
import { allowsReuse } from '../../../domain/key-rules.js';
import { changed, type TaskState } from '../../../domain/task-state.js';
import { ShuttingDownError } from '../../../errors/admission.errors.js';
import { ConflictError } from '../../../errors/request.errors.js';
import type { Entry } from '../../../guard/guard.service.js';
import { Deferred } from '../../../primitives/deferred.js';
import { LocalWorkFeed } from '../queue/local-work-feed.js';

const EXPECT_CREATED = Object.freeze({ status: ['created'] as const });

/** What one creation and many have in common: from a submission to drafts, from a durable task to the queue, and the end of it all. */
export class TaskCreation {
  /** Aborts when nothing new is created any more, but by running tasks. */
  readonly stopping = new AbortController();
  /** Submits that hold a slot or have been queued for the log, and are not handed over yet. */
  private underWay = 0;
  private settled = new Deferred();
  private readonly entries = new CreatedEntries();

  constructor(
    private readonly clock: Clock,
    private readonly ids: IdSource,
    private readonly facts: FactPort,
    private readonly telemetry: Telemetry,
    private readonly work: LocalWorkFeed,
  ) {
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
  refuseWhenStopping(withSlot: boolean, { isFromRun }: Submission): void {
    const { signal } = this.stopping;
    if (signal.aborted && (withSlot || !isFromRun())) signal.throwIfAborted();
  }

  isDelayed({ runAt }: SubmitRequest): boolean {
    return runAt !== undefined && runAt > this.clock.now();
  }

  isLate({ expiresAt }: SubmitRequest): boolean {
    return expiresAt !== undefined && expiresAt <= this.clock.now();
  }

  /** What the task will do first. */
  entryOf(request: SubmitRequest, slot: SlotLease | null): Entry {
    if (slot !== null) return 'start';
    if (this.isDelayed(request)) return 'delayed';
    return request.waitForSlot ? 'slot' : 'queue';
  }

  /** A slot for a task that starts in the frame of its own `created`; null: it waits. */
  reserve({ handler, request }: Submission): SlotLease | null {
    return this.isDelayed(request) || this.isLate(request) ? null : this.work.reserve(handler.name, request.userId);
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

  /** @param value what `handle` gets; undefined: the run parses the input itself, when its turn comes. */
  handOver(task: TaskState, { handler, input }: Submission, slot: SlotLease | null, value: unknown): void {
    this.telemetry.count('taskflow.tasks.submitted', 1, { 'taskflow.task.name': handler.name });
    if (slot === null) this.work.offer(task, input);
    else this.work.launch(changed(task, { input }), slot, value);
  }
}
