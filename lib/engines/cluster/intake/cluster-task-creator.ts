import { setMaxListeners } from 'node:events';
import { taskId, type TaskId } from '../../../contracts/ids.js';
import type { Submission } from '../../../contracts/submission.interface.js';
import type { TaskCreator } from '../../../contracts/task-creator.interface.js';
import type { Task } from '../../../contracts/task.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import { allowsReuse, keyConflict, sameTask } from '../../../domain/key-rules.js';
import { scopedKey } from '../../../domain/task-key.js';
import { createdSnapshotOf, snapshotOf } from '../../../domain/task-snapshot.js';
import type { TaskState } from '../../../domain/task-state.js';
import { type BackpressureError, ShuttingDownError } from '../../../errors/admission.errors.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { Deferred } from '../../../primitives/deferred.js';
import type { FactNews } from '../facts/fact-news.js';
import type { ClusterWorkFeed } from '../queue/cluster-work-feed.js';
import type { SubmitOutcome } from '../storage/submit-call.interface.js';
import type { HostSubmits } from './host-submits.js';
import type { Created, NewTasks, PreparedTask } from './new-tasks.js';
import type { SlotStarts } from './slot-starts.js';
import type { SubmitCaller } from './submit-caller.js';

export interface CreatorParts {
  readonly submits: SubmitCaller;
  readonly tasks: NewTasks;
  readonly news: FactNews;
  readonly work: ClusterWorkFeed;
  readonly starts: SlotStarts;
  readonly host: HostSubmits;
  readonly telemetry: Telemetry;
  readonly me: () => string;
  readonly load: (id: TaskId) => Promise<TaskState | null>;
  /** Undefined: there is room, as far as this node has to look. */
  readonly fullBy: (more: number, isDelayed: boolean) => 'queue' | 'delayed' | undefined;
  readonly maxPerWindow: number;
  readonly maxPerUserWindow: number;
  /** Counts a refusal, and says it. */
  readonly refusal: (limit: Refused['limit'], retryAfterMs: number | undefined) => BackpressureError;
}

type Refused = Extract<SubmitOutcome, { kind: 'refused' }>;
interface Item {
  readonly submission: Submission;
  readonly value: unknown;
}

/** Each is a race for a key that somebody else won. */
const MAX_RACES = 20;

/** Creates tasks in the database: keys, windows and what may wait are decided there, for all nodes at once. */
export class ClusterTaskCreator implements TaskCreator {
  private readonly stopping = new AbortController();
  private underWay = 0;
  private settled = new Deferred();

  constructor(private readonly parts: CreatorParts) {
    // Everyone who waits for a slot listens; a crowd of them is no leak.
    setMaxListeners(0, this.stopping.signal);
  }

  async create(submission: Submission, value: unknown): Promise<Task> {
    if (submission.manager !== undefined) return this.createWithin(submission, submission.manager);
    return this.counted(async () => {
      this.refuseWhenFull([submission]);
      let replaced: TaskState | null = null;
      for (let race = 0; race < MAX_RACES; race++) {
        this.refuseWhenStopping(submission);
        const prepared = this.parts.tasks.prepare(submission, replaced);
        const outcome = submission.request.waitForSlot
          ? await this.parts.starts.start(prepared.row, submission, this.stopping.signal)
          : (await this.parts.submits.submit([prepared.row], false)).outcomes[0]!;
        if (outcome.kind === 'created') return this.handOver(prepared, outcome, { submission, value });
        if (outcome.kind === 'refused') throw this.parts.refusal(outcome.limit, outcome.retryAfterMs);
        if (outcome.kind !== 'existing') {
          replaced = null;
          continue;
        }
        const existing = await this.parts.load(outcome.id);
        if (existing === null || !allowsReuse(submission.request, existing)) {
          if (existing !== null) return snapshotOf(sameTask(existing, submission));
          replaced = null;
        } else replaced = existing;
      }
      throw keepsMoving();
    });
  }

  async createMany(submissions: readonly Submission[], values: readonly unknown[]): Promise<readonly Task[]> {
    if (submissions.length === 0) return [];
    return this.counted(async () => {
      const known = new Map<string, TaskState>();
      for (let race = 0; race < MAX_RACES; race++) {
        this.refuseWhenStopping(submissions[0]!);
        const answers = await this.tryMany(submissions, values, known);
        if (answers !== undefined) return answers;
      }
      throw keepsMoving();
    });
  }

  stop(): Promise<void> {
    this.stopping.abort(new ShuttingDownError());
    return this.handedOver();
  }

  handedOver(): Promise<void> {
    return this.underWay === 0 ? Promise.resolve() : this.settled.promise;
  }

  /** Nobody is told: whether the task comes to be, its transaction says. Nodes find it when they look for work. */
  private createWithin(submission: Submission, manager: object): Promise<Task> {
    return this.counted(() => {
      this.refuseWhenStopping(submission);
      return this.parts.host.submit(submission, manager);
    });
  }

  /** @param known who has the keys, as far as earlier tries learnt. @returns undefined: somebody else moved a key. */
  private async tryMany(
    submissions: readonly Submission[],
    values: readonly unknown[],
    known: Map<string, TaskState>,
  ): Promise<readonly Task[] | undefined> {
    const hits = new Map<number, Task | number>();
    const fresh: { at: number; scoped: string | null; prepared: PreparedTask }[] = [];
    const creators = new Map<string, number>();
    submissions.forEach((submission, at) => {
      const { key, request, inputHash } = submission;
      const scoped = key === null ? null : scopedKey(taskId(''), request.userId, key);
      const creator = scoped === null ? undefined : creators.get(scoped);
      if (creator !== undefined) {
        if (submissions[creator]!.inputHash !== inputHash) throw keyConflict();
        hits.set(at, creator);
        return;
      }
      const existing = scoped === null ? undefined : known.get(scoped);
      if (existing !== undefined && !allowsReuse(request, existing)) {
        hits.set(at, snapshotOf(sameTask(existing, submission)));
        return;
      }
      if (scoped !== null) creators.set(scoped, at);
      fresh.push({ at, scoped, prepared: this.parts.tasks.prepare(submission, existing ?? null) });
    });
    const created = new Map<number, Task>();
    if (fresh.length > 0) {
      const asked = fresh.map(({ at }) => submissions[at]!);
      this.refuseTooMany(asked);
      this.refuseWhenFull(asked);
      const { outcomes } = await this.parts.submits.submit(
        fresh.map(({ prepared }) => prepared.row),
        true,
      );
      const refused = outcomes.find((outcome) => outcome.kind === 'refused');
      if (refused !== undefined) throw this.parts.refusal(refused.limit, refused.retryAfterMs);
      if (outcomes.some(({ kind }) => kind !== 'created')) {
        await this.learn(
          fresh.map(({ scoped }) => scoped),
          outcomes,
          known,
        );
        return undefined;
      }
      fresh.forEach(({ at, prepared }, n) =>
        created.set(at, this.handOver(prepared, outcomes[n] as Created, { submission: submissions[at]!, value: values[at] })),
      );
    }
    return submissions.map((_, at) => {
      const hit = hits.get(at) ?? at;
      return typeof hit === 'number' ? created.get(hit)! : hit;
    });
  }

  private refuseWhenFull(submissions: readonly Submission[]): void {
    const delayed = submissions.filter(({ request }) => request.runAt !== undefined).length;
    const { fullBy, refusal } = this.parts;
    const limit = fullBy(submissions.length - delayed, false) ?? fullBy(delayed, true);
    if (limit !== undefined) throw refusal(limit, undefined);
  }

  /** More at once than a window ever holds: no waiting helps. */
  private refuseTooMany(submissions: readonly Submission[]): void {
    const { maxPerWindow, maxPerUserWindow, refusal } = this.parts;
    if (submissions.length > maxPerWindow) throw refusal('global', undefined);
    const perUser = new Map<string, number>();
    for (const { request } of submissions) {
      if (request.userId === null || request.isTrusted) continue;
      const count = (perUser.get(request.userId) ?? 0) + 1;
      if (count > maxPerUserWindow) throw refusal('user', undefined);
      perUser.set(request.userId, count);
    }
  }

  private async learn(keys: readonly (string | null)[], outcomes: readonly SubmitOutcome[], known: Map<string, TaskState>): Promise<void> {
    await Promise.all(
      outcomes.map(async (outcome, n) => {
        const scoped = keys[n];
        if (scoped == null || (outcome.kind !== 'existing' && outcome.kind !== 'stale')) return;
        known.delete(scoped);
        const existing = outcome.kind === 'existing' ? await this.parts.load(outcome.id) : null;
        if (existing !== null) known.set(scoped, existing);
      }),
    );
  }

  private handOver(prepared: PreparedTask, outcome: Created, { submission, value }: Item): Task {
    const { tasks, news, work, telemetry, me } = this.parts;
    const created = tasks.created(prepared, outcome, me());
    telemetry.count('taskflow.tasks.submitted', 1, { 'taskflow.task.name': submission.handler.name });
    news.made([created]);
    work.keepValidated(created.task.id, value);
    if (outcome.started) work.takeUp({ task: tasks.started(created, prepared, me()).task, kind: 0 }, true);
    else work.offer(created.task);
    return createdSnapshotOf(created.task, submission.input);
  }

  private refuseWhenStopping({ isFromRun }: Submission): void {
    const { signal } = this.stopping;
    if (signal.aborted && !isFromRun()) signal.throwIfAborted();
  }

  private async counted<T>(work: () => Promise<T>): Promise<T> {
    this.underWay++;
    try {
      return await work();
    } finally {
      this.underWay--;
      if (this.underWay === 0) {
        const { settled } = this;
        this.settled = new Deferred();
        settled.resolve();
      }
    }
  }
}

const keepsMoving = (): RepositoryError => new RepositoryError('UNAVAILABLE', 'The task of this key keeps changing; try again.');
