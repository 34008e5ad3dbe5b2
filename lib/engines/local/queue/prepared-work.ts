import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import { changed, type TaskState } from '../../../domain/task-state.js';
import type { ResidentFacts } from './resident-facts.interface.js';

/** Tasks kept ready: several times the slots that come free while the next ones are read. */
const MAX_TASKS = 512;
const MAX_INPUT_CHARS = 4 * 1024 * 1024;
/** Tasks per read, so that large inputs are noticed before many of them are in memory, and nobody waits long for a read to end. */
const READ_TASKS = 128;
/** Claims of tasks that were not foreseen, before they make for another look at the queue. */
const MAX_MISSES = 16;

/** The queue, as reading ahead sees it. */
export interface UpcomingWork {
  /** Tasks that are likely to be claimed next. */
  peek(limit: number): readonly TaskId[];
  /** Where a waiting task can be read in the log, if it can. */
  createdOf(taskId: TaskId): EntryAddress | undefined;
}

/**
 * Inputs of the tasks whose turn comes next. Those submitted into a short queue are never read at all; of a long queue the first ones
 * are read ahead, many at a time. What is here is also resident, so that its start is checked in memory. A task leaves with its
 * claim, whatever comes of it: what is ready never is older than the task's place in the queue.
 */
export class PreparedWork {
  private readonly ready = new Map<TaskId, TaskState>();
  private inputChars = 0;
  /** Being read now. */
  private readonly expected = new Set<TaskId>();
  private reading: Promise<void> | undefined;
  private misses = 0;
  private readonly createdOf = (taskId: TaskId): EntryAddress | undefined => this.upcoming.createdOf(taskId);

  constructor(
    private readonly facts: ResidentFacts,
    private readonly upcoming: UpcomingWork,
  ) {}

  /**
   * Takes a task that was offered to the queue just now, when there is room. Without its input it is left to be read; so is the last
   * one of a long queue, which would only have to go again when the first ones are read.
   * @param queued tasks that wait for nothing but a slot.
   */
  add(task: TaskState, input: string | undefined, queued = 0): void {
    if (
      queued > MAX_TASKS ||
      input === undefined ||
      this.ready.size >= MAX_TASKS ||
      this.inputChars >= MAX_INPUT_CHARS ||
      this.ready.has(task.id)
    )
      return;
    this.facts.retain(task.id);
    this.put(task.input === input ? task : changed(task, { input }));
  }

  /** The read that a claimed task is part of, if it is; `take` it after that. Never rejects. */
  arrival(taskId: TaskId): Promise<void> | undefined {
    return this.expected.has(taskId) ? this.reading : undefined;
  }

  /** A claimed task with its input, and still resident: `release` it at the fact port. Undefined: it has to be read. */
  take(taskId: TaskId): TaskState | undefined {
    const task = this.ready.get(taskId);
    if (task === undefined) this.misses += 1;
    else this.remove(task);
    return task;
  }

  /** It no longer waits. */
  forget(taskId: TaskId): void {
    this.expected.delete(taskId);
    const task = this.ready.get(taskId);
    if (task === undefined) return;
    this.remove(task);
    this.facts.release(taskId);
  }

  /** Reads on when few are left, or others are claimed than were foreseen. @param queued tasks that wait for nothing but a slot. */
  refill(queued: number): void {
    const isDue = this.misses >= MAX_MISSES || (this.ready.size * 2 < MAX_TASKS && queued > this.ready.size);
    if (this.reading !== undefined || queued === 0 || !isDue) return;
    this.misses = 0;
    const next = new Set(this.upcoming.peek(MAX_TASKS));
    // Others took the places of those whose turn it is: their lanes stand at a limit.
    for (const { id } of this.ready.values()) if (!next.has(id)) this.forget(id);
    const missing: TaskId[] = [];
    for (const id of next) if (missing.length < READ_TASKS && !this.ready.has(id)) missing.push(id);
    if (missing.length > 0 && this.inputChars < MAX_INPUT_CHARS) this.reading = this.read(missing).then(() => (this.reading = undefined));
  }

  clear(): void {
    this.expected.clear();
    for (const { id } of this.ready.values()) this.forget(id);
  }

  private async read(ids: readonly TaskId[]): Promise<void> {
    for (const id of ids) this.expected.add(id);
    for (const task of await this.facts.hold(ids, this.createdOf)) {
      if (this.expected.delete(task.id) && task.status === 'created' && !this.ready.has(task.id)) this.put(task);
      else this.facts.release(task.id);
    }
    this.expected.clear();
  }

  private put(task: TaskState): void {
    this.ready.set(task.id, task);
    this.inputChars += task.input?.length ?? 0;
  }

  private remove(task: TaskState): void {
    this.ready.delete(task.id);
    this.inputChars -= task.input?.length ?? 0;
  }
}
