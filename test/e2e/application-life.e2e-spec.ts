import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type INestApplicationContext, Injectable, Module, type ModuleMetadata, type Provider, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  ExecutorService,
  ShuttingDownError,
  SlotTimeoutError,
  type Task,
  type TaskContext,
  TaskflowModule,
  type TaskflowOptionsInput,
  TaskHandler,
  TaskInterceptor,
  TaskSystem,
} from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
let open: INestApplicationContext[];
/** What happened, in order. */
let story: string[];

beforeEach(async () => {
  folder = await TestFolder.create();
  open = [];
  story = [];
});
afterEach(async () => {
  for (const app of open) await app.close().catch(() => undefined);
  await folder.dispose();
});

@TaskHandler('note')
class Note {
  handle = async (text: string): Promise<string> => {
    story.push(`run ${text}`);
    return text;
  };
}

function moduleOf(metadata: ModuleMetadata): Type<unknown> {
  @Module(metadata)
  class AnyModule {}
  return AnyModule;
}

const forRoot = (more: TaskflowOptionsInput & { isGlobal?: boolean } = {}) =>
  TaskflowModule.forRoot({ ...folder.options(more), isGlobal: more['isGlobal'] ?? true });

async function start(metadata: ModuleMetadata): Promise<INestApplicationContext> {
  const app = await NestFactory.createApplicationContext(moduleOf(metadata), { logger: false, abortOnError: false });
  open.push(app);
  return app;
}

const systemOf = (app: INestApplicationContext): TaskSystem => app.get(TaskSystem, { strict: false });
const ended = (system: TaskSystem, task: Task): Promise<unknown> => system.result(task).catch((error: unknown) => error);

/** A provider that submits, awaited, in the given hook. */
function submitterIn(hook: 'onModuleInit' | 'onApplicationBootstrap', tasks: Task[]): Provider {
  return {
    provide: `submitter in ${hook}`,
    useFactory: (system: TaskSystem) => ({
      [hook]: async () => {
        tasks.push(await system.submit(Note, { input: hook }));
        story.push(`${hook} over`);
      },
    }),
    inject: [TaskSystem],
  };
}

describe('a submit before the application is up is durable at once and runs when it is up', () => {
  it.each(['onModuleInit', 'onApplicationBootstrap'] as const)('in %s of a provider', async (hook) => {
    const tasks: Task[] = [];
    const app = await start({ imports: [forRoot()], providers: [submitterIn(hook, tasks), Note] });
    expect(tasks).toEqual([expect.objectContaining({ status: 'created', lastSeq: 1 })]);
    expect(await systemOf(app).result(tasks[0]!)).toBe(hook);
    expect(story).toEqual([`${hook} over`, `run ${hook}`]);
  });

  it('in an async factory, which the start waits for, also with a key and by name', async () => {
    const submitted: Provider = {
      provide: 'SUBMITTED',
      useFactory: async (system: TaskSystem) => [
        await system.submit(Note, { input: 'a', idempotencyKey: 'k' }),
        await system.submit('note', { input: 'a', idempotencyKey: 'k' }),
      ],
      inject: [TaskSystem],
    };
    const app = await start({ imports: [forRoot()], providers: [submitted, Note] });
    const [first, second] = app.get<Task[]>('SUBMITTED');
    expect(second!.id).toBe(first!.id);
    expect(await systemOf(app).result(first!)).toBe('a');
    expect(story).toEqual(['run a']);
  });

  it('between create() and init(), and without either hook if init() never comes: the next process runs it', async () => {
    const metadata = { imports: [forRoot()], providers: [Note] };
    const app = await NestFactory.create(moduleOf(metadata), { logger: false });
    const task = await app.get(TaskSystem).submit(Note, { input: 'early' });
    expect(await app.get(TaskSystem).getStatus(task)).toMatchObject({ status: 'created' });
    await expect(app.get(TaskSystem).submit(Note, { input: 'slot', waitForSlot: true })).rejects.toThrow(SlotTimeoutError);
    await expect(app.get(TaskSystem).submit('unknown', { input: 1 })).rejects.toThrow(/unknown/);
    await app.close();
    expect(story).toEqual([]);
    expect(await systemOf(await start(metadata)).result(task)).toBe('early');
  });

  it('in a module that a test compiles and never initialises; its close gives the log free', async () => {
    const metadata = { imports: [forRoot()], providers: [Note] };
    const app = await Test.createTestingModule({ imports: [moduleOf(metadata)] }).compile();
    const task = await systemOf(app).submit(Note, { input: 'compiled' });
    await app.close();
    await expect(systemOf(app).submit(Note, { input: 'late' })).rejects.toThrow(ShuttingDownError);
    expect(await systemOf(await start(metadata)).result(task)).toBe('compiled');
  });

  it('keeps the start from nothing when it is refused', async () => {
    const holder = await start({ imports: [forRoot()], providers: [Note] });
    const app = await NestFactory.create(moduleOf({ imports: [forRoot()], providers: [Note] }), { logger: false, abortOnError: false });
    await expect(app.get(TaskSystem).submit(Note, { input: 'a' })).rejects.toMatchObject({ name: 'EventLogLockedError' });
    await expect(app.init()).rejects.toMatchObject({ name: 'EventLogLockedError' });
    await app.close();
    await holder.close();
  });
});

describe('no handler is called', () => {
  it('before the last onApplicationBootstrap is over, not even for what the last process left', async () => {
    const first = await folder.system({ executor: { enabled: false } });
    first.defineTask('note', { handler: async () => undefined });
    await first.initialize();
    const left = await first.submit('note', { input: 'left' });
    await first.shutdown();
    const slow: Provider = {
      provide: 'slow',
      useValue: {
        onApplicationBootstrap: async () => {
          // Asked for early, it takes effect when the application is up.
          app.get(ExecutorService).start();
          await eventually(
            () => systemOf(app).getStats().tasks.queued,
            (queued) => queued === 1,
          );
          story.push('ready');
        },
      },
    };
    const app = await NestFactory.create(moduleOf({ imports: [forRoot(), moduleOf({ providers: [slow, Note] })] }), { logger: false });
    open.push(app);
    await app.init();
    expect(await app.get(TaskSystem).result(left)).toBe('left');
    expect(story).toEqual(['ready', 'run left']);
  });

  it('with executor.enabled false until ExecutorService.start() is called', async () => {
    const app = await start({ imports: [forRoot({ executor: { enabled: false } })], providers: [Note] });
    const task = await systemOf(app).submit(Note, { input: 'by hand' });
    expect(systemOf(app).getStats().tasks).toMatchObject({ queued: 1, running: 0 });
    app.get(ExecutorService, { strict: false }).start();
    expect(await systemOf(app).result(task)).toBe('by hand');
  });
});

const CLOSING = ['onModuleDestroy', 'beforeApplicationShutdown', 'onApplicationShutdown'] as const;

/** Goes away in one of the closing hooks; whoever uses it later fails. */
abstract class Connection {
  isOpen = true;
  use(): void {
    if (!this.isOpen) throw new Error('the connection is closed');
  }
}
function connectionFor(hook: (typeof CLOSING)[number]): Provider {
  class AnyConnection extends Connection {
    async [hook](): Promise<void> {
      story.push('connection closed');
      this.isOpen = false;
    }
  }
  return { provide: Connection, useClass: AnyConnection };
}

@TaskHandler('steps', { retry: { maxAttempts: 1 } })
@Injectable()
class Steps {
  constructor(private readonly connection: Connection) {}
  async handle(_: unknown, ctx: TaskContext): Promise<string> {
    await ctx.progress('begun');
    await eventually(
      () => story,
      (lines) => lines.includes('closing'),
    );
    for (let step = 0; step < 20; step++) {
      this.connection.use();
      await new Promise((resolve) => setImmediate(resolve));
    }
    story.push('run ended');
    return 'done';
  }
}
Reflect.defineMetadata('design:paramtypes', [Connection], Steps);

describe('running tasks end before', () => {
  const houses: Record<string, (dependency: Provider) => ModuleMetadata> = {
    'a provider of the root module': (dependency) => ({ imports: [forRoot()], providers: [dependency, Steps] }),
    'a provider of the root module, ours not global': (dependency) => ({
      imports: [forRoot({ isGlobal: false })],
      providers: [dependency, Steps],
    }),
    'a provider of a module imported before': (dependency) => {
      const database = moduleOf({ providers: [dependency], exports: [Connection] });
      return { imports: [database, forRoot()], providers: [Steps] };
    },
    'a provider of a global module': (dependency) => {
      const database = moduleOf({});
      return {
        imports: [forRoot(), { module: database, global: true, providers: [dependency], exports: [Connection] }],
        providers: [Steps],
      };
    },
  };
  const cases = Object.keys(houses).flatMap((house) => CLOSING.map((hook) => [house, hook] as const));

  it.each(cases)('%s goes away in %s, and what waits is not started', async (house, hook) => {
    const metadata = (): ModuleMetadata => houses[house]!(connectionFor(hook));
    const app = await start(metadata());
    const system = systemOf(app);
    const task = await system.submit(Steps, { input: 1 });
    await eventually(
      () => system.getStatus(task),
      (state) => state!.lastSeq === 3,
    );
    const closing = app.close();
    await eventually(
      () => system.getStats().status,
      (status) => status === 'stopping',
    );
    story.push('closing');
    await expect(system.submit(Steps, { input: 2 })).rejects.toThrow(ShuttingDownError);
    await closing;
    expect(story).toEqual(['closing', 'run ended', 'connection closed']);
    story.push('closing');
    const again = await start(metadata());
    expect(await ended(systemOf(again), task)).toBe('done');
  });
});

describe('a task that runs while the application closes', () => {
  it('submits others until its own end; they run after the restart', async () => {
    let system!: TaskSystem;
    @TaskHandler('split', { retry: { maxAttempts: 1 } })
    class Split {
      handle = async (_: unknown, ctx: TaskContext): Promise<readonly string[]> => {
        await ctx.progress('begun');
        await eventually(
          () => system.getStats().status,
          (status) => status === 'stopping',
        );
        const rows = await Promise.all([1, 2, 3].map((n) => system.submit(Note, { input: `row ${n}`, idempotencyKey: `row ${n}` })));
        return rows.map(({ id }) => id);
      };
    }
    const metadata = { imports: [forRoot()], providers: [Note, Split] };
    const app = await start(metadata);
    system = systemOf(app);
    const task = await system.submit(Split, { input: null });
    await eventually(
      () => system.getStatus(task),
      (state) => state!.lastSeq === 3,
    );
    await app.close();
    expect(story).toEqual([]);
    system = systemOf(await start(metadata));
    const ids = (await system.result(task)) as Task['id'][];
    for (const id of ids) await system.result({ taskId: id });
    expect(story.sort()).toEqual(['run row 1', 'run row 2', 'run row 3']);
  });

  it('submits from an async generator too, and from what it awaits', async () => {
    let system!: TaskSystem;
    const later = async (input: string): Promise<Task> => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return await system.submit(Note, { input });
    };
    @TaskHandler('yields')
    class Yields {
      async *handle(): AsyncGenerator<{ type: 'progress'; payload: unknown }, string> {
        yield { type: 'progress', payload: 'begun' };
        await eventually(
          () => system.getStats().status,
          (status) => status === 'stopping',
        );
        const { id } = await later('of a generator');
        yield { type: 'progress', payload: id };
        return id;
      }
    }
    const metadata = { imports: [forRoot()], providers: [Note, Yields] };
    const app = await start(metadata);
    system = systemOf(app);
    const task = await system.submit(Yields, { input: null });
    await eventually(
      () => system.getStatus(task),
      (state) => state!.lastSeq === 3,
    );
    await app.close();
    system = systemOf(await start(metadata));
    expect(await system.getStatus(task)).toMatchObject({ status: 'completed', fence: 1 });
    expect(await system.result({ taskId: (await system.result(task)) as Task['id'] })).toBe('of a generator');
  });

  it('submits by promises that it hands on, and from its interceptors', async () => {
    let system!: TaskSystem;
    const stopping = (): Promise<unknown> =>
      eventually(
        () => system.getStats().status,
        (status) => status === 'stopping',
      );
    const note = (input: string): Promise<Task> => system.submit(Note, { input });
    @TaskHandler('hands on', { retry: { maxAttempts: 1 } })
    class HandsOn {
      handle = (_: unknown, ctx: TaskContext): Promise<string> =>
        ctx
          .progress('begun')
          .then(stopping)
          .then(() => note('chained'))
          .then(() => this.returned())
          .then(() => 'ended');
      private readonly returned = async (): Promise<Task> => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return note('returned');
      };
    }
    @TaskInterceptor({ order: 1 })
    class Outer {
      async intercept({ task }: { task: Task }, next: () => Promise<unknown>): Promise<unknown> {
        const result = await next();
        if (task.name === 'hands on') await note('of the outer one');
        return result;
      }
    }
    @TaskInterceptor({ order: 2 })
    class Inner {
      intercept = ({ task }: { task: Task }, next: () => Promise<unknown>): Promise<unknown> =>
        next().then(async (result) => {
          if (task.name === 'hands on') await note('of the inner one');
          return result;
        });
    }
    const metadata = { imports: [forRoot()], providers: [Note, HandsOn, Outer, Inner] };
    const app = await start(metadata);
    system = systemOf(app);
    const task = await system.submit(HandsOn, { input: null });
    await eventually(
      () => system.getStatus(task),
      (state) => state!.lastSeq === 3,
    );
    await app.close();
    system = systemOf(await start(metadata));
    expect(await system.getStatus(task)).toMatchObject({ status: 'completed', fence: 1, result: 'ended' });
    await eventually(
      () => story.length,
      (runs) => runs === 4,
    );
    expect(story.sort()).toEqual(['run chained', 'run of the inner one', 'run of the outer one', 'run returned']);
  });

  it.each(['as it is', 'as a cause', 'among others'])('burns no attempt by what the shutdown refuses it, thrown %s', async (how) => {
    let system!: TaskSystem;
    let refused: unknown;
    @TaskHandler('asks', { retry: { maxAttempts: 1 } })
    class Asks {
      handle = async (_: unknown, ctx: TaskContext): Promise<number> => {
        await ctx.progress('begun');
        if (ctx.fence > 1) return ctx.attempt;
        await eventually(
          () => system.getStats().status,
          (status) => status === 'stopping',
        );
        refused = await system.submit(Note, { input: 'now', waitForSlot: true }).catch((error: unknown) => error);
        if (how === 'as it is') throw refused;
        throw how === 'as a cause' ? new Error('wrapped', { cause: refused }) : new AggregateError([new Error('other'), refused]);
      };
    }
    const metadata = { imports: [forRoot()], providers: [Note, Asks] };
    const app = await start(metadata);
    system = systemOf(app);
    const task = await system.submit(Asks, { input: null });
    await eventually(
      () => system.getStatus(task),
      (state) => state!.lastSeq === 3,
    );
    await app.close();
    expect(ShuttingDownError.is(refused)).toBe(true);
    expect(await systemOf(await start(metadata)).result(task)).toBe(1);
  });
});
