/** What a storage of one's own and a catch block are written against. */
import type { HttpException } from '@nestjs/common';
import * as taskflow from 'nestjs-taskflow';
import {
  applyEntry,
  type EventLogEntry,
  type IdempotencyKey,
  type ListOptions,
  type Page,
  type RecoveryContext,
  type RecoveryOutcome,
  type StandardSchema,
  type StoredEvent,
  type Task,
  type TaskHandler as Handler,
  TaskHandler,
  type TaskId,
  type TaskRepository,
  type TaskSystem,
  toStoredEvent,
} from 'nestjs-taskflow';

export class Shelf implements TaskRepository {
  private readonly tasks = new Map<TaskId, Task>();
  private readonly events: StoredEvent[] = [];

  async initialize() {}
  async executeBatch(entries: readonly EventLogEntry[]) {
    for (const entry of entries) {
      const task = applyEntry(this.tasks.get(entry.taskId) ?? null, entry);
      if (task === null) this.tasks.delete(entry.taskId);
      else this.tasks.set(task.id, task);
      const event = toStoredEvent(entry);
      if (event !== null && event.seq === entry.taskSeq) this.events.push(event);
    }
  }
  async findById(taskId: TaskId) {
    return this.tasks.get(taskId) ?? null;
  }
  async findByIdempotencyKey(scopedKey: IdempotencyKey) {
    return [...this.tasks.values()].find(({ idempotencyKey }) => idempotencyKey === scopedKey) ?? null;
  }
  async findStaleTasks(threshold: number) {
    return [...this.tasks.values()].filter(({ createdAt }) => createdAt.getTime() >= threshold);
  }
  async getEvents(taskId: TaskId) {
    return this.events.filter((event) => event.taskId === taskId);
  }
  async healthCheck() {
    return true;
  }
  async close() {}
  async list({ limit = 50 }: ListOptions): Promise<Page<Task>> {
    return { items: [...this.tasks.values()].slice(0, limit), nextCursor: null };
  }
}

@TaskHandler('nothing')
export class ReturnsNothing implements Handler<void, void> {
  async handle() {}
  async recover(_task: Task<void, void>, { reason, lastSeq }: RecoveryContext): Promise<RecoveryOutcome<void>> {
    return { recovered: reason === 'crash' && lastSeq > 1 };
  }
}

const schema: StandardSchema<{ n: number }> = { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } };

export async function defines(system: TaskSystem, key: string | undefined, owner: taskflow.UserId): Promise<void> {
  system.defineTask<{ n: number }, string>('all-options', {
    schema,
    input: undefined,
    type: 'background',
    timeoutMs: undefined,
    retry: { maxAttempts: 2, initialDelayMs: 1, maxDelayMs: 2, backoffMultiplier: 3, jitter: false },
    maxConcurrentExecutions: 3,
    idempotency: 'none',
    handler: async ({ n }, { previousEvents }) => `${n}${previousEvents.length}`,
    recovery: async (task) => ({ recovered: true, result: task.name }),
  });
  await system.submit(ReturnsNothing, { input: undefined, idempotencyKey: key, userId: owner, tags: ['a'] as const });
  await system.submit('brands', { input: 1, idempotencyKey: taskflow.idempotencyKey('k'), userId: taskflow.userId('u') });
  // @ts-expect-error a brand for another
  await system.submit('brands', { input: 1, userId: taskflow.taskId('t') });
  // @ts-expect-error an owner that may be undefined is no owner and no trusted access
  await system.submit('brands', { input: 1, userId: key });
}

export function caught(error: unknown): unknown {
  if (taskflow.StreamOverflowError.is(error)) return error.firstAvailableSeq - error.requestedSeq;
  if (taskflow.SubscriberLimitError.is(error) || taskflow.RepositoryError.is(error)) return error.retryAfterMs;
  if (taskflow.SlotTimeoutError.is(error)) return error.timeoutMs + error.retryAfterMs;
  if (taskflow.EventLogError.is(error)) return error.state === 'failed' && error.outcome === 'unknown';
  if (taskflow.EventLogCorruptError.is(error)) return `${error.file}:${error.offset}`;
  if (taskflow.TaskFailedError.is(error) || taskflow.TaskCancelledError.is(error)) return error.task.error?.retryable;
  class Own extends taskflow.ConflictError {}
  if (Own.is(error)) return error.code;
  const others = [
    taskflow.NotFoundError,
    taskflow.StreamEndedError,
    taskflow.ShuttingDownError,
    taskflow.HandlerNotFoundError,
    taskflow.EventLogLockedError,
    taskflow.TaskTimeoutError,
  ];
  return others.some((type) => error instanceof type && (error satisfies HttpException).getStatus() > 0);
}
