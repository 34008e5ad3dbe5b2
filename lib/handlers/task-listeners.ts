import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { CHANGE_FEED, CLOCK, LOGGER, TASK_QUERIES } from '../config/taskflow.tokens.js';
import type { ChangeFeed } from '../contracts/change-feed.interface.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { TaskId } from '../contracts/ids.js';
import type { EntryType } from '../contracts/task-event.interface.js';
import type { CommittedFact, TaskHistory } from '../contracts/task-history.interface.js';
import type { Task } from '../contracts/task.interface.js';
import { traceOf } from '../domain/error-parts.js';
import { snapshotOf } from '../domain/task-snapshot.js';
import { changed, type TaskState } from '../domain/task-state.js';
import { inOwnContext, outsideRequests } from '../primitives/async-context.js';
import { settleWithin } from '../primitives/settle-within.js';
import type { TaskMoment } from './on-task.decorator.js';

export interface TaskListener {
  readonly moment: TaskMoment;
  /** Undefined: tasks of every name. */
  readonly names: ReadonlySet<string> | undefined;
  /** For messages. */
  readonly label: string;
  call(task: Task): unknown;
}

interface Notice {
  readonly task: TaskState;
  readonly listeners: readonly TaskListener[];
}

const MOMENTS: Partial<Record<EntryType, TaskMoment>> = {
  start: 'started',
  retry: 'retried',
  complete: 'completed',
  error: 'failed',
  cancelled: 'cancelled',
  recovered: 'recovered',
};
const MAX_WAITING = 100_000;
/** Tasks whose listeners are called at once. */
const MAX_AT_ONCE = 50;
const MAX_CALL_MS = 60_000;
/** A larger result is read again when its turn comes. Unit: characters. */
const MAX_KEPT_RESULT = 4_096;
const READ_AGAIN_MS = 1_000;
const MAX_READS = 30;

/** Calls `@OnTask` listeners after the event is durable, beside everything else: nothing waits for them but the end of the process. */
@Injectable()
export class TaskListeners {
  private readonly byMoment = new Map<TaskMoment, TaskListener[]>();
  /** By task, in order. One that is being called stays here until nothing is left of it. */
  private readonly waiting = new Map<TaskId, Notice[]>();
  private readonly ready = new Set<TaskId>();
  private waitingCount = 0;
  private active = 0;
  private dropped = 0;
  private isHeld = true;
  private isStopped = false;
  private isListening = false;
  private idle: (() => void)[] = [];

  constructor(
    @Inject(CHANGE_FEED) private readonly feed: ChangeFeed,
    @Inject(TASK_QUERIES) private readonly history: TaskHistory,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: LoggerService,
  ) {}

  add(listener: TaskListener): void {
    this.byMoment.set(listener.moment, [...(this.byMoment.get(listener.moment) ?? []), listener]);
    if (this.isListening) return;
    this.isListening = true;
    this.feed.onMade((facts) => this.committed(facts));
  }

  /** The application is up: what was heard until now is told. */
  release(): void {
    this.isHeld = false;
    this.schedule();
  }

  /** Waits for what is under way, no longer than that; then nothing is told any more. */
  async stop(timeoutMs: number): Promise<void> {
    this.isHeld = false;
    this.schedule();
    if (this.waitingCount > 0 && timeoutMs > 0)
      await settleWithin(this.clock, timeoutMs, new Promise<void>((resolve) => this.idle.push(resolve)));
    this.isStopped = true;
    if (this.waitingCount > 0)
      this.logger.warn(
        `${this.waitingCount} calls of @OnTask listeners were not over when the process stopped. Their tasks are not affected.`,
      );
  }

  private committed(facts: readonly CommittedFact[]): void {
    if (this.isStopped) return;
    for (const { task, entry } of facts) {
      const moment = MOMENTS[entry.type];
      const all = moment === undefined ? undefined : this.byMoment.get(moment);
      const listeners = all?.filter(({ names }) => names === undefined || names.has(task.name));
      if (listeners !== undefined && listeners.length > 0) this.keep({ task: lean(task), listeners });
    }
  }

  private keep(notice: Notice): void {
    if (this.waitingCount >= MAX_WAITING) return this.drop();
    const { id } = notice.task;
    const before = this.waiting.get(id);
    this.waitingCount += 1;
    if (before !== undefined) return void before.push(notice);
    this.waiting.set(id, [notice]);
    this.ready.add(id);
    this.schedule();
  }

  private drop(): void {
    if (this.dropped === 0)
      this.logger.error(
        `@OnTask listeners do not keep up: ${MAX_WAITING} calls wait, and newer ones are dropped until there is room. Make them faster, or let a task do the work.`,
      );
    this.dropped += 1;
  }

  private schedule(): void {
    // Never in the turn of a commit, and in nobody's context.
    if (!this.isHeld && this.ready.size > 0 && this.active < MAX_AT_ONCE) outsideRequests(setImmediate, this.turn);
  }

  private readonly turn = (): void => {
    for (const id of this.ready) {
      if (this.active >= MAX_AT_ONCE || this.isStopped) return;
      this.ready.delete(id);
      this.active += 1;
      void this.tellAll(id).then(() => {
        this.active -= 1;
        this.schedule();
      });
    }
  };

  /** Never rejects. */
  private async tellAll(id: TaskId): Promise<void> {
    const notices = this.waiting.get(id) ?? [];
    while (notices.length > 0 && !this.isStopped) {
      const { task, listeners } = notices[0]!;
      const shown = await this.shown(task);
      await Promise.all(listeners.map((listener) => this.call(listener, shown)));
      notices.shift();
      this.waitingCount -= 1;
    }
    if (notices.length === 0) this.waiting.delete(id);
    if (this.waitingCount > 0) return;
    if (this.dropped > 0) this.logger.error(`${this.dropped} calls of @OnTask listeners were dropped. The listeners keep up again.`);
    this.dropped = 0;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  private call(listener: TaskListener, task: Task): Promise<void> {
    const what = `The @OnTask listener ${listener.label} for task ${task.name} (${task.id})`;
    return new Promise((resolve) => {
      const timer = this.clock.after(MAX_CALL_MS, () => {
        this.logger.error(`${what} has not ended after ${MAX_CALL_MS / 1000} s and is not waited for any more. The task is not affected.`);
        resolve();
      });
      inOwnContext(async () => listener.call(task))
        .then(
          () => undefined,
          (error: unknown) => this.logger.error(`${what} failed. The task is not affected.`, traceOf(error)),
        )
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });
  }

  /** As of the event, with its input, which the event itself does not carry. */
  private async shown(task: TaskState): Promise<Task> {
    for (let read = 0; read < MAX_READS && !this.isStopped; read++) {
      try {
        const newest = await this.history.load(task.id);
        if (newest?.lastSeq === task.lastSeq) return snapshotOf(newest);
        return snapshotOf(
          changed(task, { input: newest?.input, result: task.result ?? (task.status === 'completed' ? newest?.result : undefined) }),
        );
      } catch {
        await new Promise<void>((resolve) => this.clock.after(READ_AGAIN_MS, resolve));
      }
    }
    return snapshotOf(task);
  }
}

const lean = (task: TaskState): TaskState =>
  task.input === undefined && (task.result?.length ?? 0) <= MAX_KEPT_RESULT
    ? task
    : changed(task, { input: undefined, result: (task.result?.length ?? 0) <= MAX_KEPT_RESULT ? task.result : undefined });
