import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, FACT_PORT, TASK_QUERIES, TASKFLOW_OPTIONS } from '../config/taskflow.tokens.js';
import { TaskflowOptions } from '../config/taskflow.options.js';
import type { Clock } from '../contracts/clock.interface.js';
import type { FactPort } from '../contracts/fact-port.interface.js';
import type { TaskQueries } from '../contracts/task-queries.interface.js';
import type { OwnerOption, Page, TaskRef } from '../contracts/task-system.interface.js';
import type { Task } from '../contracts/task.interface.js';
import { decodeCursor, encodeCursor, pageLimit } from '../domain/page-cursor.js';
import { requireIdentifier } from '../domain/owner.js';
import { snapshotOf } from '../domain/task-snapshot.js';
import { changed, type TaskState } from '../domain/task-state.js';
import { ConflictError, NotFoundError, ValidationError } from '../errors/request.errors.js';
import { MisuseLog } from '../telemetry/misuse-log.js';
import { TaskResolver } from '../intake/task-resolver.service.js';
import { Readiness } from '../lifecycle/readiness.js';
import { ManualRetry } from './manual-retry.service.js';

export interface DeadLetterListOptions extends OwnerOption {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly name?: string | undefined;
  readonly tag?: string | undefined;
}

const LIST_OPTIONS = ['limit', 'cursor', 'name', 'tag'] satisfies (keyof DeadLetterListOptions)[];
/** Rows looked at in one go by `retryAll`. */
const SWEEP = 100;

/**
 * Failed tasks that were not removed, younger than `ttlMs`, the newest `maxSize`: a question to durable state, so that a restart
 * changes nothing.
 */
@Injectable()
export class DeadLetterService {
  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(FACT_PORT) private readonly facts: FactPort,
    @Inject(TASK_QUERIES) private readonly tasks: TaskQueries,
    private readonly readiness: Readiness,
    private readonly resolver: TaskResolver,
    private readonly manual: ManualRetry,
    private readonly misuse: MisuseLog,
  ) {}

  /** Newest first. @throws RepositoryError when the database did not answer, or a custom repository has no `list`. */
  async list(options: DeadLetterListOptions = {}): Promise<Page<Task>> {
    await this.readiness.wait();
    const owner = this.misuse.ownerOf(options, LIST_OPTIONS);
    const limit = pageLimit(options.limit);
    const from = decodeCursor(options.cursor);
    const seen = from?.count ?? 0;
    const page = await this.tasks.page({
      limit: Math.min(limit, Math.max(1, this.options.guard.dlq.maxSize - seen)),
      deadLetteredSince: this.since(),
      ...(owner === undefined ? {} : { userId: owner }),
      ...(options.name === undefined ? {} : { name: requireIdentifier('name', options.name) }),
      ...(options.tag === undefined ? {} : { tag: requireIdentifier('tag', options.tag) }),
      ...(from === undefined ? {} : { after: from }),
    });
    const held = seen >= this.options.guard.dlq.maxSize ? [] : page.items;
    // Others count too, whatever is asked for.
    const isFiltered = owner !== undefined || options.name !== undefined || options.tag !== undefined;
    const items = isFiltered ? held.slice(0, await this.countNewest(held)) : held;
    const count = seen + items.length;
    const more = page.next !== null && items.length === page.items.length && count < this.options.guard.dlq.maxSize;
    return { items: items.map((state) => this.visible(state)), nextCursor: more ? encodeCursor({ ...page.next!, count }) : null };
  }

  /** Opens a new round. @throws ConflictError when not dead-lettered or `maxRetries` is used up; NotFoundError. */
  async retry(ref: TaskRef, options?: OwnerOption): Promise<Task> {
    await this.readiness.wait();
    return this.visible(await this.reopen(await this.resolver.require(ref, this.misuse.ownerOf(options))));
  }

  /** Retries all that the filter takes and that have rounds left. @returns how many were. */
  async retryAll(filter: (task: Task) => boolean = () => true): Promise<number> {
    if (typeof filter !== 'function') throw this.noFilter(filter);
    const chosen: Task[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await this.list({ limit: SWEEP, cursor });
      chosen.push(...page.items.filter(filter));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    let retried = 0;
    for (const task of chosen) {
      const done = await this.retry(task).catch((error: unknown) => {
        // Retried, used up or pruned meanwhile: not ours to count.
        if (ConflictError.is(error) || NotFoundError.is(error)) return null;
        throw error;
      });
      if (done !== null) retried++;
    }
    return retried;
  }

  /** Takes it out of the queue; the task stays failed. False when it is not dead-lettered. @throws NotFoundError. */
  async remove(ref: TaskRef, options?: OwnerOption): Promise<boolean> {
    await this.readiness.wait();
    const state = await this.resolver.require(ref, this.misuse.ownerOf(options));
    this.manual.requireHome(state);
    if (!(await this.holds(state))) return false;
    const outcome = await this.facts.append([
      { type: 'dlq-removed', taskId: state.id, expect: { status: ['failed'], fence: state.fence, life: state.life } },
    ]);
    return outcome.kind === 'applied';
  }

  /** What a caller gets. `deadLetteredAt` says since when a failed task counts as a dead letter, or null. */
  visible(state: TaskState): Task {
    const isOver = state.deadLetteredAt !== null && state.deadLetteredAt < this.since();
    return snapshotOf(isOver ? changed(state, { deadLetteredAt: null }) : state, this.options.stream.exposeErrorMessages);
  }

  /** @throws RepositoryError when the database did not answer. */
  size(): Promise<number> {
    return this.tasks.countDeadLetters(this.since(), this.options.guard.dlq.maxSize);
  }

  private async reopen(state: TaskState): Promise<TaskState> {
    this.manual.requireHome(state);
    const { maxRetries } = this.options.guard.dlq;
    if (!(await this.holds(state)))
      throw new ConflictError('NOT_DEAD_LETTERED', `The task is ${state.status} and not in the dead-letter queue.`);
    if (state.life > maxRetries)
      throw new ConflictError('RETRIES_EXHAUSTED', `The task was retried by hand ${maxRetries} times, which is the limit.`);
    this.manual.requireKey(state);
    const outcome = await this.manual.reopen(state, true);
    if (outcome.kind !== 'applied')
      throw new ConflictError('NOT_DEAD_LETTERED', 'The task was retried, removed or pruned at the same moment.');
    return { ...outcome.task, input: state.input };
  }

  private async holds(state: TaskState): Promise<boolean> {
    if (state.status !== 'failed' || state.deadLetteredAt === null || state.deadLetteredAt < this.since()) return false;
    return this.isAmongNewest(state);
  }

  private isAmongNewest(state: TaskState): Promise<boolean> {
    return this.tasks.isAmongNewestDead(state, this.since(), this.options.guard.dlq.maxSize);
  }

  /** How many of these, newest first, are among the newest `maxSize` of all: a search by halves. */
  private async countNewest(states: readonly TaskState[]): Promise<number> {
    let [from, to] = [0, states.length];
    for (let at = to - 1; from < to; at = (from + to) >> 1) {
      if (await this.isAmongNewest(states[at]!)) from = at + 1;
      else to = at;
    }
    return from;
  }

  /** Options in the place of a filter are as wrong as elsewhere: whoever meant to name an owner must not retry the tasks of all. */
  private noFilter(given: unknown): unknown {
    const owner =
      typeof given === 'object' && given !== null && 'userId' in given ? this.misuse.ownerOf({ userId: given.userId }) : undefined;
    const meant = owner === undefined ? '' : '; for the tasks of one owner: (task) => task.userId === userId';
    return new ValidationError('filter', `must be a function${meant}`);
  }

  private since(): number {
    return this.clock.now() - this.options.guard.dlq.ttlMs;
  }
}
