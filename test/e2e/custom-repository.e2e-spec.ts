import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  applyEntry,
  type EventLogEntry,
  type IdempotencyKey,
  RepositoryError,
  type StoredEvent,
  type Task,
  type TaskContext,
  type TaskflowOptionsInput,
  type TaskId,
  type TaskRepository,
  type TaskSystem,
  toStoredEvent,
} from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

/** The eight members over one JSON file, as a user would write them. */
class JsonFileRepository implements TaskRepository {
  private rows: Record<string, { key: string; task: Task; events: StoredEvent[] }> = {};
  down = false;
  /** `initialize` rejects. */
  static cannotStart = false;
  constructor(private readonly path: string) {}

  async initialize(): Promise<void> {
    if (JsonFileRepository.cannotStart) throw new Error('not yet');
    if (existsSync(this.path)) this.rows = JSON.parse(readFileSync(this.path, 'utf8'), revive);
  }
  async executeBatch(entries: readonly EventLogEntry[]): Promise<void> {
    this.available();
    for (const entry of entries) {
      const row = this.rows[entry.taskId];
      const task = applyEntry(row?.task ?? null, entry);
      const event = toStoredEvent(entry);
      const events = row?.events ?? [];
      if (task === null) delete this.rows[entry.taskId];
      else
        this.rows[entry.taskId] = {
          key: entry.scopedKey,
          task,
          events: event !== null && task !== row?.task ? [...events, event] : events,
        };
    }
    writeFileSync(`${this.path}.tmp`, JSON.stringify(this.rows));
    renameSync(`${this.path}.tmp`, this.path);
  }
  async findById(taskId: TaskId): Promise<Task | null> {
    this.available();
    return this.rows[taskId]?.task ?? null;
  }
  async findByIdempotencyKey(key: IdempotencyKey): Promise<Task | null> {
    this.available();
    return Object.values(this.rows).find((row) => row.key === key)?.task ?? null;
  }
  async findStaleTasks(threshold: number): Promise<Task[]> {
    const before = Date.now() - threshold;
    return Object.values(this.rows)
      .map(({ task }) => task)
      .filter(
        (task) => (task.status === 'created' || task.status === 'running') && (task.lastHeartbeatAt ?? task.createdAt).getTime() <= before,
      );
  }
  async getEvents(taskId: TaskId): Promise<StoredEvent[]> {
    this.available();
    return this.rows[taskId]?.events ?? [];
  }
  async healthCheck(): Promise<boolean> {
    return !this.down;
  }
  async close(): Promise<void> {}

  get count(): number {
    return Object.keys(this.rows).length;
  }
  private available(): void {
    if (this.down) throw new Error('the file is away');
  }
}
const revive = (name: string, value: unknown): unknown => (name.endsWith('At') && typeof value === 'string' ? new Date(value) : value);

let folder: TestFolder;
let repository: JsonFileRepository;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  repository.down = false;
  JsonFileRepository.cannotStart = false;
  await folder.dispose();
});

async function start(options: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  repository = new JsonFileRepository(folder.file('tasks.json'));
  const system = await folder.system({
    stream: { streamBufferSize: 2, streamRetentionMs: 1 },
    ...options,
    repository: { type: 'custom', repository },
  });
  system.defineTask('count', {
    handler: async (to: number, ctx: TaskContext) => {
      for (let n = 1; n <= to; n++) await ctx.progress({ n });
      return to;
    },
  });
  system.defineTask('fails', { retry: { maxAttempts: 1 }, handler: async () => Promise.reject(new Error('no')) });
  system.defineTask('hangs', {
    handler: (_, ctx: TaskContext) =>
      ctx.fence > 1
        ? Promise.resolve('went on')
        : new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))),
  });
  await system.initialize();
  return system;
}
const flushed = (system: TaskSystem) =>
  eventually(
    () => system.getStats(),
    ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
  );
const seqsOf = async (system: TaskSystem, task: Task, lastSeq: number): Promise<number[]> => {
  const seqs = [];
  for await (const { seq } of system.subscribe(task, { lastSeq })) if (seq !== undefined) seqs.push(seq);
  return seqs;
};

describe('a custom repository with its eight members', () => {
  it('gives status, keys and the whole stream from its history, before and after a restart', async () => {
    const first = await start();
    const task = await first.submit('count', { input: 20, userId: 'alice', idempotencyKey: 'k', tags: ['a'] });
    await first.result(task);
    await flushed(first);
    expect(first.getStats().eventLog.overlayBytes).toBe(0);
    for (const lastSeq of [0, 5, 22])
      expect(await seqsOf(first, task, lastSeq)).toEqual(Array.from({ length: 23 - lastSeq }, (_, at) => lastSeq + at + 1));
    await first.shutdown();

    const second = await start();
    expect(await second.getStatus('k', { userId: 'alice' })).toMatchObject({
      id: task.id,
      status: 'completed',
      result: 20,
      input: 20,
      tags: ['a'],
    });
    expect(await second.submit('count', { input: 20, userId: 'alice', idempotencyKey: 'k' })).toMatchObject({ id: task.id });
    await expect(second.submit('count', { input: 21, userId: 'alice', idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
    });
    expect(await seqsOf(second, task, 3)).toHaveLength(20);
    expect(await second.getStatus({ taskId: '01a206f8-0000-7000-8000-000000000000' })).toBeNull();
  });

  it('finds running and waiting tasks again at the next start, flushed or not', async () => {
    const first = await start({ shutdown: { forceKillTimeoutMs: 5 }, guard: { slots: { maxExecutionGlobal: 1 } } });
    const running = await first.submit('hangs', { input: null });
    const waiting = await first.submit('count', { input: 1 });
    const delayed = await first.submit('count', { input: 1, delayMs: 3_600_000 });
    await flushed(first);
    await first.shutdown({ timeoutMs: 0 });
    const second = await start();
    expect(await second.result(running)).toBe('went on');
    expect(await second.result(waiting)).toBe(1);
    await eventually(
      () => second.getStats().tasks.delayed,
      (count) => count === 1,
    );
    expect(await second.getStatus(delayed)).toMatchObject({ status: 'created' });
  });

  it('goes on without it, says neither "unknown" nor "free" meanwhile, and catches up', async () => {
    const system = await start({ flush: { circuitBreakerThreshold: 1, circuitBreakerDurationMs: 20 } });
    repository.down = true;
    const task = await system.submit('count', { input: 2 });
    expect(await system.result(task)).toBe(2);
    expect(await system.getStatus(task)).toMatchObject({ status: 'completed' });
    await expect(system.getStatus({ taskId: '01a206f8-0000-7000-8000-000000000000' })).rejects.toMatchObject({ name: 'RepositoryError' });
    await expect(system.submit('count', { input: 1, idempotencyKey: 'k' })).rejects.toMatchObject({ name: 'RepositoryError' });
    repository.down = false;
    await flushed(system);
    expect(repository.count).toBe(1);
  });

  it('is asked nothing before it is initialised: a key that it holds is not free, and a task that it holds not unknown', async () => {
    const options = { eventLog: { maxSizeBytesPerFile: 1_000, retentionCount: 0 } };
    const first = await start(options);
    const submit = (system: TaskSystem) => system.submit('count', { input: 1, idempotencyKey: 'k' });
    const task = await submit(first);
    await first.result(task);
    // The log forgets it: only the repository holds it now.
    await first.result(await first.submit('count', { input: 50 }));
    await flushed(first);
    await eventually(
      () => first.getStats().eventLog.segments,
      (segments) => segments === 1,
    );
    await first.shutdown();

    JsonFileRepository.cannotStart = true;
    const second = await start(options);
    expect(second.getStats().status).toBe('degraded');
    await expect(submit(second)).rejects.toBeInstanceOf(RepositoryError);
    await expect(second.getStatus('k')).rejects.toBeInstanceOf(RepositoryError);
    await expect(second.cancel(task)).rejects.toBeInstanceOf(RepositoryError);
    const unkeyed = await second.submit('count', { input: 2 });
    expect(await second.result(unkeyed)).toBe(2);

    JsonFileRepository.cannotStart = false;
    expect(await submit(second)).toMatchObject({ id: task.id, status: 'completed' });
    await flushed(second);
    expect(repository.count).toBe(3);
    await eventually(
      () => second.getStats().status,
      (status) => status === 'running',
    );
  });

  it('rejects lists and dead letters as not supported, and prunes nothing', async () => {
    const system = await start({ retention: { completedTtlMs: 1, failedTtlMs: 1, sweepIntervalMs: 5 }, guard: { dlq: { ttlMs: 1 } } });
    const done = await system.submit('count', { input: 1 });
    await system.result(done);
    const task = await system.submit('fails', { input: null });
    await system.result(task).catch(() => undefined);
    await flushed(system);
    for (const call of [
      () => system.list(),
      () => system.deadLetters.list(),
      () => system.list({ deadLettered: true }),
      () => system.deadLetters.retryAll(),
    ]) {
      const error: unknown = await call().catch((reason: unknown) => reason);
      expect(RepositoryError.is(error) && error.code).toBe('NOT_SUPPORTED');
    }
    expect(await system.getStatus(done)).toMatchObject({ status: 'completed' });
    expect(repository.count).toBe(2);
  });

  it('rejects a retry or removal of a dead letter as not supported, and changes nothing', async () => {
    const system = await start();
    const task = await system.submit('fails', { input: null });
    await system.result(task).catch(() => undefined);
    for (const call of [() => system.deadLetters.retry(task), () => system.deadLetters.remove(task)]) {
      await expect(call()).rejects.toMatchObject({ name: 'RepositoryError', code: 'NOT_SUPPORTED' });
    }
    expect(await system.getStatus(task)).toMatchObject({ status: 'failed', lastSeq: 3 });
  });
});
