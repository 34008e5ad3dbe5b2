import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  EventLogLockedError,
  NonRetryableError,
  type Page,
  ShuttingDownError,
  type Task,
  type TaskDefinition,
  type TaskEvent,
  type TaskflowOptionsInput,
  type TaskSystem,
  ValidationError,
} from 'nestjs-taskflow';
import { PATIENCE_MS, eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await folder.dispose();
});

const untilAborted: TaskDefinition['handler'] = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }));
const TASKS: Record<string, TaskDefinition> = {
  echo: { handler: async (input: unknown) => input },
  hang: { handler: untilAborted },
  dies: { handler: async () => Promise.reject(new NonRetryableError('the reason')) },
};

async function start(options: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system({ executor: { tickIntervalMs: 5, retry: { initialDelayMs: 1, maxDelayMs: 5 } }, ...options });
  for (const [name, task] of Object.entries(TASKS)) system.defineTask(name, task);
  await system.initialize();
  return system;
}
const eventsOf = async (system: TaskSystem, task: Task): Promise<TaskEvent[]> => {
  const events: TaskEvent[] = [];
  for await (const event of system.subscribe(task)) events.push(event);
  return events;
};
const fieldOf = (call: () => Promise<unknown>): Promise<unknown> =>
  call().then(
    () => 'nothing was refused',
    (error: unknown) => (ValidationError.is(error) ? error.field : error),
  );
/** As a caller without types would change it; true when it was refused. */
const isRefused = (change: () => unknown): boolean => {
  try {
    change();
    return false;
  } catch (error) {
    return error instanceof TypeError;
  }
};

describe('what one caller is shown', () => {
  it('is nobody’s to change for others: tags, errors and payloads of events', async () => {
    const system = await start();
    const waiting = await system.submit('echo', { input: 1, tags: ['a'], delayMs: 60_000 });
    expect(isRefused(() => (waiting.tags as string[]).push('b'))).toBe(true);
    expect((await system.getStatus(waiting))?.tags).toEqual(['a']);

    const dead = await system.submit('dies', { input: 1, tags: ['a'] });
    await system.result(dead).catch(() => undefined);
    const shown = await system.getStatus(dead);
    expect(isRefused(() => Object.assign(shown!.error!, { message: 'another' }))).toBe(true);
    expect((await system.getStatus(dead))?.error?.message).toBe('the reason');

    const [first, second] = await Promise.all([eventsOf(system, dead), eventsOf(system, dead)]);
    expect(isRefused(() => first[0]!.payload.tags.push('b'))).toBe(true);
    expect(isRefused(() => Object.assign(first.at(-1)!.payload.error, { message: 'another' }))).toBe(true);
    expect(second[0]!.payload.tags).toEqual(['a']);
    expect(second.at(-1)!.payload.error.message).toBe('the reason');
  });
});

describe('options of a call', () => {
  it('that are no object are refused, a bare user id among them: never taken for trusted access', async () => {
    const system = await start();
    const task = await system.submit('echo', { input: 1, userId: 'alice' });
    const consume = async (options: never): Promise<unknown> => {
      for await (const event of system.subscribe(task, options)) return event;
      return undefined;
    };
    for (const options of ['alice', null, 5] as never[]) {
      const calls = [
        () => system.getStatus(task, options),
        () => system.result(task, options),
        () => system.cancel(task, options),
        () => system.sse(task, options),
        () => system.list(options),
        () => system.deadLetters.list(options),
        () => system.deadLetters.retry(task, options),
        () => system.deadLetters.remove(task, options),
        () => consume(options),
        () => system.shutdown(options),
      ];
      for (const call of calls) expect(await fieldOf(call)).toBe('options');
    }
    expect(await fieldOf(() => system.list({ deadLettered: 'no' as never }))).toBe('deadLettered');
    expect(await system.result(task)).toBe(1);
  });

  it('that a shutdown cannot follow change nothing: running tasks go on', async () => {
    const system = await start();
    const task = await system.submit('hang', { input: null });
    await eventually(
      () => system.getStats().tasks.running,
      (running) => running === 1,
    );
    expect(await fieldOf(() => system.shutdown({ timeoutMs: -1 }))).toBe('timeoutMs');
    expect(await fieldOf(() => system.shutdown({ timeoutMs: Number.NaN }))).toBe('timeoutMs');
    expect(await fieldOf(() => system.shutdown({ force: 'yes' as never }))).toBe('force');
    expect(system.getStats().status).toBe('running');
    expect((await system.getStatus(task))?.status).toBe('running');
  });
});

describe('waitForSlot', () => {
  it('ends with a refusal when the system shuts down, and nothing was created', async () => {
    const system = await start({ guard: { slots: { maxExecutionGlobal: 1 } }, shutdown: { timeoutMs: 20, forceKillTimeoutMs: 1_000 } });
    await system.submit('hang', { input: null });
    const waiting = system.submit('echo', { input: 1, waitForSlot: true, idempotencyKey: 'waits' }).then(
      () => 'created',
      (error: unknown) => ShuttingDownError.is(error),
    );
    // A submit behind it in the queue says that it waits by now.
    await system.submit('echo', { input: 1, delayMs: 60_000 });
    const end = system.shutdown();
    expect(await waiting).toBe(true);
    await end;

    const again = await start();
    expect(await again.getStatus('waits')).toBeNull();
  });
});

describe('the last page of a list', () => {
  it('has no cursor, though it is full, and all of it is in the database', async () => {
    const system = await start();
    for (let input = 0; input < 6; input++) {
      await system.result(await system.submit('echo', { input }));
      await system.result(await system.submit('dies', { input })).catch(() => undefined);
    }
    await eventually(
      () => system.getStats(),
      ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
    );
    const sizesOf = async (page: (cursor: string | undefined) => Promise<Page<Task>>): Promise<number[]> => {
      const sizes: number[] = [];
      for (let cursor: string | undefined; ;) {
        const { items, nextCursor } = await page(cursor);
        sizes.push(items.length);
        if (nextCursor === null) return sizes;
        cursor = nextCursor;
      }
    };
    expect(await sizesOf((cursor) => system.list({ limit: 4, cursor }))).toEqual([4, 4, 4]);
    expect(await sizesOf((cursor) => system.list({ limit: 3, status: 'completed', cursor }))).toEqual([3, 3]);
    expect(await sizesOf((cursor) => system.list({ limit: 3, deadLettered: true, cursor }))).toEqual([3, 3]);
    expect(await sizesOf((cursor) => system.deadLetters.list({ limit: 6, cursor }))).toEqual([6]);
  });
});

describe('a start that failed', () => {
  it('leaves a system that says it is stopped, and answers every call with what was wrong', async () => {
    await start();
    const second = await folder.system();
    const waiting = second.submit('echo', { input: 1 }).catch((error: unknown) => error);
    const failure = await second.initialize().catch((error: unknown) => error);
    expect(EventLogLockedError.is(failure)).toBe(true);
    expect(await waiting).toBe(failure);
    expect(second.getStats().status).toBe('stopped');
    await second.shutdown();
    expect(second.getStats().status).toBe('stopped');
  });
});

describe('statistics', () => {
  it('count a retry by hand among the retries, as the metric does', async () => {
    const system = await start();
    const task = await system.submit('dies', { input: 1 });
    await system.result(task).catch(() => undefined);
    expect(system.getStats().tasks.retried).toBe(0);
    await system.deadLetters.retry(task);
    expect(system.getStats().tasks.retried).toBe(1);
  });
});

describe('a script without a server', () => {
  it('lives until its running task has ended, though the handler holds nothing but its signal', async () => {
    const script = `
      import { createTaskSystem, TaskFailedError } from 'nestjs-taskflow';
      const system = await createTaskSystem(${JSON.stringify({ ...folder.options(), hooks: undefined })});
      const handler = (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      system.defineTask('waits', { timeoutMs: 300, retry: { maxAttempts: 1 }, handler });
      await system.initialize();
      const task = await system.submit('waits', { input: null });
      const error = await system.result(task).catch((error) => error);
      console.log('ended:', TaskFailedError.is(error) && error.task.error.code);
      await system.shutdown();`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: PATIENCE_MS });
    expect(stdout).toContain('ended: TASK_TIMEOUT');
  });
});
