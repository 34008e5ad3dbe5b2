import { chmod, mkdir, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ArrayMinSize, IsEmail, IsInt, IsString, Min, MinLength, ValidateNested } from 'class-validator';
import { Type } from 'class-transformer';
import {
  ConfigValidationError,
  createTaskSystem,
  HandlerNotFoundError,
  TaskSystemError,
  type TaskDefinition,
  type TaskflowOptionsInput,
  type TaskSystem,
  ValidationError,
} from 'nestjs-taskflow';
import { z } from 'zod';
import { ChildApp } from '../support/process/child-app.js';
import { silent, TestFolder } from '../support/process/task-system.js';

class Address {
  @IsString() readonly city!: string;
}
class OrderDto {
  @IsEmail() readonly email!: string;
  @IsInt() @Min(1) readonly count!: number;
  @ValidateNested() @Type(() => Address) readonly address!: Address;
  @ArrayMinSize(1) @MinLength(2, { each: true }) readonly codes!: string[];
}
const OrderSchema = z.object({ email: z.email(), count: z.int().min(1), address: z.object({ city: z.string() }) });

const NOBODY = 65_534;

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await folder.dispose();
});

async function start(options: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system({ executor: { enabled: false }, ...options });
  const tasks: Record<string, TaskDefinition> = {
    'send-email': { handler: async (input: unknown) => input },
    dto: { input: OrderDto, handler: async (input: OrderDto) => input.constructor.name },
    schema: { schema: OrderSchema, handler: async (input: unknown) => input },
  };
  for (const [name, task] of Object.entries(tasks)) system.defineTask(name, task);
  await system.initialize();
  return system;
}
const refusalOf = async (call: Promise<unknown>): Promise<TaskSystemError & Record<string, any>> => {
  const error: unknown = await call.then(
    (value) => new Error(`not refused: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!TaskSystemError.is(error)) throw error;
  return error as TaskSystemError & Record<string, any>;
};
const nothingChanged = async (system: TaskSystem): Promise<void> => {
  expect(system.getStats().eventLog.durableSeq).toBe(0);
  expect((await system.list()).items).toEqual([]);
  expect(system.getStats().tasks).toMatchObject({ queued: 0, running: 0 });
};
/** A chain of objects, so many levels deep. */
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });

describe('submit', () => {
  it('refuses an unknown task with the nearest name', async () => {
    const system = await start();
    const error = await refusalOf(system.submit('send-emial', { input: 1 }));
    expect([HandlerNotFoundError.is(error), error.getStatus(), error.message]).toEqual([
      true,
      400,
      expect.stringContaining('"send-email"'),
    ]);
    for (const name of [undefined, null, 7, '', class Unknown {}])
      expect(HandlerNotFoundError.is(await refusalOf(system.submit(name as never, { input: 1 })))).toBe(true);
    await nothingChanged(system);
  });

  it.each(['dto', 'schema'])('names every field that a %s refuses, nested ones too', async (name) => {
    const system = await start();
    const error = await refusalOf(system.submit(name, { input: { email: 'no', count: 0, address: { city: 7 }, codes: ['a'] } }));
    const paths = new Set(error['issues'].map(({ path }: { path: string }) => path));
    expect(paths).toEqual(new Set(['email', 'count', 'address.city', ...(name === 'dto' ? ['codes'] : [])]));
    expect([error.name, error['field'], error.getStatus()]).toEqual(['ValidationError', 'input', 400]);
    for (const input of [null, 'text', [], 7, undefined])
      expect(ValidationError.is(await refusalOf(system.submit(name, { input })))).toBe(true);
    await nothingChanged(system);
  });

  it('refuses an input that JSON would lose or that is too much, naming the path', async () => {
    const system = await start({ limits: { maxInputBytes: 1_000, maxDepth: 10 } });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = { cycle };
    const cases: [string, unknown, string][] = [
      ['a cycle', cycle, 'input.self.cycle'],
      ['a BigInt', { n: [1n] }, 'input.n.0'],
      ['a function', { f() {} }, 'input.f'],
      ['a symbol', { s: Symbol('s') }, 'input.s'],
      ['NaN', { n: Number.NaN }, 'input.n'],
      ['a Map', { m: new Map() }, 'input.m'],
      ['an invalid date', { d: new Date(Number.NaN) }, 'input.d'],
      ['a __proto__ key', JSON.parse('{"a":{"__proto__":{"admin":true}}}'), 'input.a.__proto__'],
      ['too much', { text: 'x'.repeat(1_000) }, 'input'],
      ['too much in UTF-8', 'ä'.repeat(600), 'input'],
      ['too deep', nested(11), 'input.a.a.a.a.a.a.a.a.a.a'],
      ['far too deep', nested(5_000), 'input.a'],
      [
        'a getter that throws',
        {
          get x() {
            throw new Error('boo');
          },
        },
        'input',
      ],
    ];
    for (const [what, input, path] of cases) {
      const error = await refusalOf(system.submit('send-email', { input }));
      expect([what, error.name, error['field'], error['issues'][0].path.startsWith(path)]).toEqual([
        what,
        'ValidationError',
        'input',
        true,
      ]);
    }
    await nothingChanged(system);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('refuses keys, owners and options that cannot be, naming the field', async () => {
    const system = await start();
    const cases: [object, string][] = [
      ...['', 'x'.repeat(257), 'a\u0000b', 'a\nb', 'a\u007fb', '\ud800', 7, {}].flatMap((bad): [object, string][] => [
        [{ idempotencyKey: bad }, 'idempotencyKey'],
        [{ userId: bad }, 'userId'],
        [{ tags: [bad] }, 'tags[0]'],
      ]),
      [{ idempotencyKey: null }, 'idempotencyKey'],
      [{ userId: undefined }, 'userId'],
      [{ tags: 'a' }, 'tags'],
      [{ tags: Array.from({ length: 33 }, (_, n) => `t${n}`) }, 'tags'],
      ...[-1, Number.NaN, 1.5, '5', Number.POSITIVE_INFINITY, null].flatMap((bad): [object, string][] => [
        [{ delayMs: bad }, 'delayMs'],
        [{ timeoutMs: bad }, 'timeoutMs'],
        [{ maxAttempts: bad }, 'maxAttempts'],
        ...(bad === -1 ? [] : [[{ priority: bad }, 'priority'] as [object, string]]),
      ]),
      [{ timeoutMs: 0 }, 'timeoutMs'],
      [{ timeoutMs: 2 ** 53 - 1 }, 'timeoutMs'],
      [{ maxAttempts: 0 }, 'maxAttempts'],
      [{ maxAttempts: 2 ** 31 }, 'maxAttempts'],
      [{ delayMs: Number.MAX_SAFE_INTEGER }, 'delayMs'],
      [{ priority: 2 ** 31 }, 'priority'],
      [{ runAt: '2026-01-01' }, 'runAt'],
      [{ runAt: new Date(Number.NaN) }, 'runAt'],
      [{ runAt: new Date(8.64e15) }, 'runAt'],
      [{ runAt: Object.assign(new Date(Number.NaN), { getTime: () => 1 }) }, 'runAt'],
      [{ runAt: new Date(), delayMs: 1 }, 'delayMs'],
      [{ waitForSlot: 'yes' }, 'waitForSlot'],
      [{ waitForSlot: true, delayMs: 5 }, 'waitForSlot'],
      [{ idempotencykey: 'k' }, 'idempotencykey'],
    ];
    for (const [params, field] of cases) {
      const error = await refusalOf(system.submit('send-email', { input: 1, ...params }));
      expect([params, error.name, error['field']]).toEqual([params, 'ValidationError', field]);
    }
    for (const params of [undefined, null, 'text'])
      expect((await refusalOf(system.submit('send-email', params as never))).name).toBe('ValidationError');
    await nothingChanged(system);
  });
});

describe('every other method', () => {
  it('refuses references, owners and positions that cannot be', async () => {
    const system = await start();
    const task = await system.submit('send-email', { input: 1, userId: 'alice' });
    const first = async (ref: unknown, options: object): Promise<void> =>
      void (await system
        .subscribe(ref as never, options as never)
        [Symbol.asyncIterator]()
        .next());
    const methods: [string, (ref: unknown, options: object) => Promise<unknown>][] = [
      ['getStatus', (ref, options) => system.getStatus(ref as never, options)],
      ['cancel', (ref, options) => system.cancel(ref as never, options)],
      ['result', (ref, options) => system.result(ref as never, options)],
      ['sse', (ref, options) => system.sse(ref as never, options)],
      ['subscribe', first],
      ['retry', (ref, options) => system.deadLetters.retry(ref as never, options)],
      ['remove', (ref, options) => system.deadLetters.remove(ref as never, options)],
    ];
    for (const [name, call] of methods) {
      for (const ref of ['', 'x'.repeat(257), 'a\u0000b', undefined, null, 7, {}, { id: '' }, { taskId: 7 }]) {
        expect([name, ref, (await refusalOf(call(ref, {}))).name]).toEqual([name, ref, 'ValidationError']);
      }
      for (const userId of ['', 'x'.repeat(257), 'a\u0000b', undefined, 7]) {
        expect([name, userId, (await refusalOf(call(task, { userId })))['field']]).toEqual([name, userId, 'userId']);
      }
    }
    for (const lastSeq of [-1, 1.5, Number.NaN, '1', 99, 2 ** 60]) {
      for (const call of [() => system.sse(task, { lastSeq: lastSeq as number }), () => first(task, { lastSeq })]) {
        expect([lastSeq, (await refusalOf(call()))['field']]).toEqual([lastSeq, 'lastSeq']);
      }
    }
    for (const reason of ['x'.repeat(5_000), 'stop\u0000', '\ud800', 'a\u0007b', 7, null])
      expect([reason, (await refusalOf(system.cancel(task, { reason: reason as string })))['field']]).toEqual([reason, 'reason']);
    expect((await refusalOf(system.deadLetters.retryAll('all' as never)))['field']).toBe('filter');
    expect((await refusalOf(system.deadLetters.retryAll({ userId: undefined } as never)))['field']).toBe('userId');
    expect((await refusalOf(system.deadLetters.retryAll({ userId: 'ann' } as never)))['field']).toBe('filter');
    expect(await system.getStatus(task)).toMatchObject({ status: 'created', lastSeq: 1, cancelRequestedAt: null });
  });

  it('refuses an option that it does not have: a misspelt userId would be trusted access', async () => {
    const system = await start();
    const task = await system.submit('send-email', { input: 1, userId: 'alice', idempotencyKey: 'k' });
    const first = (options: object): Promise<unknown> => system.subscribe(task, options)[Symbol.asyncIterator]().next();
    const methods: [name: string, takes: string[], call: (options: object) => Promise<unknown>][] = [
      ['list', ['status', 'name', 'tag', 'deadLettered', 'limit', 'cursor'], (options) => system.list(options)],
      ['list of dead letters', [], (options) => system.list({ deadLettered: true, ...options })],
      ['getStatus', [], (options) => system.getStatus(task, options)],
      ['subscribe', ['lastSeq', 'signal'], first],
      ['sse', ['lastSeq', 'signal'], (options) => system.sse(task, options)],
      ['result', ['signal'], (options) => system.result(task, options)],
      ['cancel', ['reason'], (options) => system.cancel(task, options)],
      ['deadLetters.list', ['limit', 'cursor', 'name', 'tag'], (options) => system.deadLetters.list(options)],
      ['deadLetters.retry', [], (options) => system.deadLetters.retry(task, options)],
      ['deadLetters.remove', [], (options) => system.deadLetters.remove(task, options)],
    ];
    const foreign = ['userID', 'userid', 'user', 'toString', 'force', 'input', 'idempotencyKey'];
    for (const [name, takes, call] of methods) {
      for (const option of foreign) {
        for (const value of ['mallory', undefined]) {
          const error = await refusalOf(call({ [option]: value }));
          expect([name, option, error.name, error['field'], error['status']]).toEqual([name, option, 'ValidationError', option, 400]);
        }
      }
      const own = Object.fromEntries(takes.map((option) => [option, undefined]));
      const error = await refusalOf(call({ ...own, userId: 'alice', userID: 'alice' }));
      expect([name, error['field']]).toEqual([name, 'userID']);
      // Each name that it takes is passed by: what is wrong is the owner, which is looked at last.
      expect([name, (await refusalOf(call({ ...own, userId: '' })))['field']]).toEqual([name, 'userId']);
    }
    expect(await system.getStatus(task)).toMatchObject({ status: 'created', lastSeq: 1, cancelRequestedAt: null });
  });

  it('refuses definitions that cannot be, and a name that is taken', async () => {
    const system = await start();
    const handler = async (): Promise<void> => {};
    for (const [name, definition, path] of [
      ['', { handler }, 'name'],
      ['a\u0000b', { handler }, 'name'],
      ['x'.repeat(300), { handler }, 'name'],
      ['x', {}, 'defineTask("x").handler'],
      ['x', undefined, 'defineTask("x").handler'],
      ['x', { handler, recovery: 1 }, 'defineTask("x").recovery'],
      ['x', { handler, timeoutMs: Number.NaN }, 'x.timeoutMs'],
      ['x', { handler, timeoutMs: -1 }, 'x.timeoutMs'],
      ['x', { handler, retry: { maxAttempts: 0 } }, 'x.retry.maxAttempts'],
      ['x', { handler, maxConcurrentExecutions: 0 }, 'x.maxConcurrentExecutions'],
      ['x', { handler, idempotency: 'yes' }, 'x.idempotency'],
      ['x', { handler, timeout: 5 }, 'x.timeout'],
      ['x', { handler, input: OrderDto, schema: OrderSchema }, 'x.schema'],
    ] as const) {
      const error = await refusalOf(Promise.resolve().then(() => system.defineTask(name, definition as never)));
      expect([name, definition, error.name, error['issues'][0].path]).toEqual([name, definition, 'ConfigValidationError', path]);
    }
    expect((await refusalOf(Promise.resolve().then(() => system.defineTask('dto', { handler })))).code).toBe('ALREADY_DEFINED');
  });
});

describe('options', () => {
  it('are refused at once, all of them, with the nearest name, and no file is made', async () => {
    const options = {
      eventLog: { eventLogPath: folder.file('logs/events.log'), retentionCount: -1, maxUnflushedByte: 5 },
      guard: { backpressure: { windowSizeMs: Number.NaN } },
      executor: { heartbeatIntervalMs: 20_000, retry: { backoffMultiplier: 'two' } },
      repository: { type: 'sqlight' },
      streams: {},
    };
    const error = await refusalOf(createTaskSystem(options as object));
    expect(ConfigValidationError.is(error)).toBe(true);
    const paths = error['issues'].map(({ path }: { path: string }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        'eventLog.retentionCount',
        'eventLog.maxUnflushedByte',
        'guard.backpressure.windowSizeMs',
        'executor.retry.backoffMultiplier',
        'repository.type',
        'streams',
      ]),
    );
    expect(error.message).toContain('"maxUnflushedBytes"');
    expect(error.message).toContain('"stream"');
    expect(await readdir(folder.path)).toEqual([]);
    const polluted = JSON.parse('{"__proto__": {"enabled": false}, "executor": {"__proto__": {"x": 1}}}') as TaskflowOptionsInput;
    expect((await refusalOf(createTaskSystem(polluted))).name).toBe('ConfigValidationError');
  });

  it('that name a database in memory are refused: nothing in it would survive', async () => {
    for (const database of [':memory:', 'file::memory:?cache=shared']) {
      const error = await refusalOf(createTaskSystem({ repository: { type: 'sqlite', database } }));
      expect(error['issues']).toEqual([{ path: 'repository.database', message: expect.stringContaining(database) }]);
    }
  });

  it('that contradict each other are refused', async () => {
    const error = await refusalOf(createTaskSystem({ recovery: { staleThresholdMs: 100 }, retention: { failedTtlMs: 5 } }));
    expect(error['issues'].map(({ path }: { path: string }) => path).sort()).toEqual([
      'recovery.staleThresholdMs',
      'retention.failedTtlMs',
    ]);
  });

  it('that contradict each other are named beside every other fault, once each', async () => {
    const error = await refusalOf(
      createTaskSystem({
        // @ts-expect-error a name that is not there
        flsh: {},
        executor: { heartbeatIntervalMs: -1 },
        recovery: { staleThresholdMs: -1 },
        retention: { failedTtlMs: 5 },
      }),
    );
    expect(error['issues'].map(({ path }: { path: string }) => path).sort()).toEqual([
      'executor.heartbeatIntervalMs',
      'flsh',
      'recovery.staleThresholdMs',
      'retention.failedTtlMs',
    ]);
  });
});

describe('files', () => {
  const at = (eventLogPath: string): TaskflowOptionsInput => ({ eventLog: { eventLogPath } });
  const starting = (options: TaskflowOptionsInput) => refusalOf(start(options));

  it('refuses a log folder that is a file, below a file, or a symbolic link, naming it', async () => {
    await writeFile(folder.file('file'), 'mine');
    await mkdir(folder.file('real'));
    await symlink(folder.file('real'), folder.file('link'));
    for (const [path, message] of [
      ['file/events.log', 'not a folder'],
      ['file/deep/events.log', 'file'],
      ['link/events.log', 'symbolic link'],
    ] as const) {
      const error = await starting(at(folder.file(path)));
      expect([path, error.name, error['issues'][0].path]).toEqual([path, 'ConfigValidationError', 'eventLog.eventLogPath']);
      expect(error.message).toContain(message);
      expect(error.message).toContain(folder.path);
    }
    expect(await readFile(folder.file('file'), 'utf8')).toBe('mine');
    expect(await readdir(folder.file('real'))).toEqual([]);
  });

  it('refuses a log folder that it may not write to', async () => {
    await mkdir(folder.file('locked'));
    await chmod(folder.file('locked'), 0o555);
    if (process.geteuid!() !== 0) {
      expect((await starting(at(folder.file('locked/events.log')))).message).toContain('not writable');
      return;
    }
    // Root may write everywhere: a process of its own steps down first.
    await chmod(folder.path, 0o755);
    const app = ChildApp.spawn({ ...folder.options(at(folder.file('locked/events.log'))), hooks: undefined }, NOBODY);
    expect((await app.exited()).code).toBe(1);
    expect(app.stderr).toMatch(/ConfigValidationError[^]*locked is not writable/);
    expect(await readdir(folder.file('locked'))).toEqual([]);
  });

  it('refuses a database file that is not a database, and leaves it as it was', async () => {
    await writeFile(folder.file('tasks.db'), 'not a database at all, but a text of some length'.repeat(100));
    const error = await starting({});
    expect([error.name, error.code]).toEqual(['RepositoryError', 'NOT_A_DATABASE']);
    expect(error.message).toContain('tasks.db');
    expect(await readFile(folder.file('tasks.db'), 'utf8')).toMatch(/^not a database/);
  });

  describe('of the log', () => {
    const eventLog = { maxSizeBytesPerFile: 2_048, retentionCount: 1_000 };
    let segments: string[];
    beforeEach(async () => {
      const system = await start({ eventLog });
      for (let n = 0; n < 60; n++) await system.submit('send-email', { input: { n } });
      await system.shutdown();
      segments = (await readdir(folder.path)).filter((name) => /^events-\d{16}\.log$/.test(name)).sort();
      expect(segments.length).toBeGreaterThan(4);
    });
    const refused = async (file: string): Promise<void> => {
      const before = await Promise.all(
        (await readdir(folder.path))
          .filter((name) => name.endsWith('.log'))
          .map(async (name) => [name, await readFile(folder.file(name), 'utf8')]),
      );
      const error = await starting({ eventLog });
      expect([file, error.name]).toEqual([file, 'EventLogCorruptError']);
      expect([error['file'], error.message]).toEqual([expect.stringContaining(folder.path), expect.stringContaining('events-')]);
      const after = await Promise.all(
        (await readdir(folder.path))
          .filter((name) => name.endsWith('.log'))
          .map(async (name) => [name, await readFile(folder.file(name), 'utf8')]),
      );
      expect(after).toEqual(before);
    };

    it('that is truncated in the middle of its history is refused', async () => {
      await truncate(folder.file(segments[2]!), 700);
      await refused(segments[2]!);
    });
    it('that is missing in the middle is refused', async () => {
      await rm(folder.file(segments[2]!));
      await refused(segments[2]!);
    });
    it('that was renamed is refused', async () => {
      await rename(folder.file(segments[2]!), folder.file('events-0000000000009999.log'));
      await refused(segments[2]!);
    });
    it('that comes from another log is refused', async () => {
      const other = await TestFolder.create();
      try {
        const system = await other.system({ eventLog, executor: { enabled: false } });
        system.defineTask('send-email', { handler: async () => 1 });
        await system.initialize();
        for (let n = 0; n < 60; n++) await system.submit('send-email', { input: { n } });
        await system.shutdown();
        await writeFile(
          folder.file(segments[2]!),
          await readFile(join(other.path, segments[2]!)).catch(async () => readFile(join(other.path, segments[0]!))),
        );
      } finally {
        await other.dispose();
      }
      await refused(segments[2]!);
    });
    it('that is damaged is refused, and the log of the start names what looks at it and what mends it', async () => {
      await truncate(folder.file(segments[2]!), 700);
      const told: string[] = [];
      const logger = { ...silent, error: (message: unknown) => void told.push(String(message)) };
      const system = await createTaskSystem({ ...folder.options({ eventLog }), hooks: { logger } });
      await refusalOf(system.initialize());
      const { eventLogPath } = folder.options({}).eventLog!;
      for (const command of ['verify', 'repair'])
        expect(told).toContainEqual(expect.stringContaining(`npx taskflow log ${command} ${eventLogPath}`));
    });
    it('that is missing at the end, though the database has more, is refused as another history', async () => {
      for (const name of segments.slice(2)) await rm(folder.file(name));
      const error = await starting({ eventLog });
      expect(error.name).toMatch(/EventLogCorruptError|RepositoryError/);
      expect(error.message).toMatch(/taskflow|events-/);
    });
    it('that is gone as a whole, while the database has its unfinished tasks, is refused with what to do', async () => {
      for (const name of await readdir(folder.path)) if (!name.startsWith('tasks.db')) await rm(folder.file(name));
      const system = await createTaskSystem({ ...folder.options({ eventLog }), hooks: { logger: silent } });
      const error = await refusalOf(system.initialize());
      expect([error.code, error.message]).toEqual(['UNADOPTED_HOME', expect.stringContaining('taskflow log adopt')]);
    });
  });
});
