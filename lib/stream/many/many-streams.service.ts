import { Inject, Injectable, type MessageEvent } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { CHANGE_FEED, CLOCK, TASK_QUERIES } from '../../config/taskflow.tokens.js';
import type { ChangeFeed } from '../../contracts/change-feed.interface.js';
import type { Clock } from '../../contracts/clock.interface.js';
import type { CommittedFact } from '../../contracts/task-history.interface.js';
import type { TaskQueries } from '../../contracts/task-queries.interface.js';
import type { Owner } from '../../domain/owner.js';
import type { TaskState } from '../../domain/task-state.js';
import { NotFoundError } from '../../errors/request.errors.js';
import { StreamEndedError } from '../../errors/stream.errors.js';
import { checkSignal } from '../abort-signal.js';
import { StreamService } from '../stream.service.js';
import { FollowedTasks, type FollowRequest } from './followed-tasks.js';
import { TasksSse } from './tasks-sse.js';

export interface ManyStreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** What was named and does not exist. */
  readonly missing: readonly string[];
  /** A task as clients may see it. */
  snapshot(task: TaskState): unknown;
}

/** Streams of many tasks each, and what is new for them. */
@Injectable()
export class ManyStreams {
  /** By whose tasks they follow: a fact is offered to the few that it may be for. */
  private readonly open = new Map<Owner, Set<FollowedTasks>>();
  private isStarted = false;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CHANGE_FEED) private readonly feed: ChangeFeed,
    @Inject(TASK_QUERIES) private readonly queries: TaskQueries,
    private readonly streams: StreamService,
  ) {}

  /** Begins to listen to committed facts; before any of them is made. Twice is once. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    this.feed.onCommitted((facts) => {
      if (this.open.size > 0) for (const fact of facts) this.tell(fact);
    });
  }

  /**
   * Messages of many tasks. Whatever is to be refused is refused before this resolves, but for what is wrong with one task alone, which
   * the stream tells of that task.
   * @throws StreamEndedError when all tasks that were named have ended and the client has their last events; NotFoundError when none of
   * them exists; ValidationError (`signal`, `cursors`), SubscriberLimitError, RepositoryError, ShuttingDownError.
   */
  async sse(request: FollowRequest, options: ManyStreamOptions): Promise<Observable<MessageEvent>> {
    const { signal, missing } = options;
    checkSignal(signal);
    if (missing.length > 0 && (request.tasks as readonly TaskState[]).length === 0) throw new NotFoundError();
    const lease = this.streams.admit(request.owner);
    const tasks: FollowedTasks = new FollowedTasks(
      request,
      this.queries,
      (task, at) => this.streams.openMember(task, at),
      this.clock,
      () => {
        lease.release();
        this.remove(request.owner, tasks);
      },
    );
    // From here on: what is committed while the rest is looked up is not missed.
    this.add(request.owner, tasks);
    try {
      await tasks.open();
      if (tasks.isNamed && !tasks.hasFollowed) throw new StreamEndedError(0);
      const load = ({ id }: Pick<TaskState, 'id'>): Promise<TaskState | null> => this.queries.load(id, false);
      return new TasksSse(tasks, this.clock, {
        ...this.streams.responseOptions(signal),
        missing,
        snapshot: (task) => options.snapshot(task),
        load,
      });
    } catch (error) {
      tasks.close();
      throw error;
    }
  }

  private tell(fact: CommittedFact): void {
    for (const owner of [undefined, fact.task.userId]) {
      for (const tasks of this.open.get(owner) ?? []) tasks.told(fact);
    }
  }

  private add(owner: Owner, tasks: FollowedTasks): void {
    const all = this.open.get(owner) ?? new Set();
    this.open.set(owner, all.add(tasks));
  }

  private remove(owner: Owner, tasks: FollowedTasks): void {
    const all = this.open.get(owner);
    all?.delete(tasks);
    if (all?.size === 0) this.open.delete(owner);
  }
}
