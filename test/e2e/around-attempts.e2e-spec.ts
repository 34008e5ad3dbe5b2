import 'reflect-metadata';
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { forwardRef, Inject, Injectable, Module, type ModuleMetadata, Scope, type Type } from '@nestjs/common';
import { type ContextId, ContextIdFactory, type HostComponentInfo, LazyModuleLoader, REQUEST } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  ConfigValidationError,
  HandlerNotFoundError,
  type Task,
  type TaskAttempt,
  TaskCancelledError,
  type TaskContext,
  TaskFailedError,
  TaskflowModule,
  type TaskflowOptionsInput,
  TaskHandler,
  TaskInterceptor,
  TaskSystem,
} from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

let folder: TestFolder;
let open: { close(): Promise<void> }[];
beforeEach(async () => {
  folder = await TestFolder.create();
  open = [];
});
afterEach(async () => {
  for (const app of open) await app.close().catch(() => undefined);
  await folder.dispose();
  ContextIdFactory.apply(undefined as never);
});

function moduleOf(metadata: ModuleMetadata, name = 'AppModule'): Type<unknown> {
  const type = { [name]: class {} }[name]!;
  Module(metadata)(type);
  return type;
}
const forRoot = (more: TaskflowOptionsInput = {}) => TaskflowModule.forRoot(folder.options(more));

async function start(metadata: ModuleMetadata, more: TaskflowOptionsInput = {}): Promise<{ app: TestingModule; tasks: TaskSystem }> {
  const root = moduleOf({ ...metadata, imports: [forRoot(more), ...(metadata.imports ?? [])] });
  const app = await Test.createTestingModule({ imports: [root] }).compile();
  open.push(app);
  await app.init();
  return { app, tasks: app.get(TaskSystem, { strict: false }) };
}

const cls = new AsyncLocalStorage<string>();
let steps: string[];

@TaskInterceptor({ order: -1 })
class Outer implements TaskInterceptor {
  async intercept({ task, context }: TaskAttempt, next: () => Promise<unknown>): Promise<unknown> {
    steps.push(`outer ${task.name} ${task.userId} ${context.attempt} ${JSON.stringify(task.input)}`);
    try {
      return await cls.run(`store of ${task.userId}`, next);
    } finally {
      steps.push('outer end');
    }
  }
}

@TaskInterceptor()
class Inner implements TaskInterceptor {
  async intercept(_run: TaskAttempt, next: () => Promise<unknown>): Promise<unknown> {
    steps.push(`inner ${cls.getStore()}`);
    const result = await next();
    return typeof result === 'object' ? { ...result, seen: true } : result;
  }
}

beforeEach(() => {
  steps = [];
});

describe('@TaskInterceptor', () => {
  it('surrounds every attempt from the lowest order to the highest, opens a context for it, and may change its result', async () => {
    @TaskHandler('wrapped', { retry: { maxAttempts: 2, initialDelayMs: 1 } })
    class Wrapped {
      async handle(_input: unknown, ctx: TaskContext): Promise<unknown> {
        steps.push(`handle ${cls.getStore()}`);
        if (ctx.attempt === 1) throw new Error('once more');
        return { done: true };
      }
    }
    const { tasks } = await start({ providers: [Inner, Outer, Wrapped] });
    const task = await tasks.submit(Wrapped, { input: { a: 1 }, userId: 'alice' });
    expect(await tasks.result(task)).toEqual({ done: true, seen: true });
    const one = (attempt: number): string[] => [
      `outer wrapped alice ${attempt} {"a":1}`,
      'inner store of alice',
      'handle store of alice',
      'outer end',
    ];
    expect(steps).toEqual([...one(1), ...one(2)]);
  });

  it('surrounds tasks of defineTask, and a generator to its last finally, on abort too', async () => {
    const { app } = {
      app: await Test.createTestingModule({ imports: [moduleOf({ imports: [forRoot()], providers: [Outer] })] }).compile(),
    };
    open.push(app);
    const tasks = app.get(TaskSystem, { strict: false });
    tasks.defineTask('generate', {
      handler: async function* (input: { endless: boolean }) {
        try {
          do {
            yield { type: 'progress', payload: cls.getStore() };
            await new Promise((resolve) => setTimeout(resolve, 1));
          } while (input.endless);
          return cls.getStore();
        } finally {
          steps.push(`finally ${cls.getStore()}`);
        }
      },
    });
    await app.init();
    const ended = await tasks.submit('generate', { input: { endless: false }, userId: 'alice' });
    expect(await tasks.result(ended)).toBe('store of alice');
    const endless = await tasks.submit('generate', { input: { endless: true }, userId: 'bob' });
    await eventually(
      () => tasks.getStatus(endless),
      (task) => (task?.lastSeq ?? 0) > 3,
    );
    await cls.run('the canceller', () => tasks.cancel(endless));
    await expect(tasks.result(endless)).rejects.toThrow(TaskCancelledError);
    expect(steps.filter((step) => !step.startsWith('outer generate'))).toEqual([
      'finally store of alice',
      'outer end',
      'finally store of bob',
      'outer end',
    ]);
    const events = [];
    for await (const event of tasks.subscribe(ended)) if (event.type === 'progress') events.push(event.payload);
    expect(events).toEqual(['store of alice']);
  });

  it('surrounds recover() as it surrounds handle()', async () => {
    @TaskHandler('recovering')
    class Recovering {
      async handle(_input: unknown, ctx: TaskContext): Promise<void> {
        await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));
      }
      async recover(): Promise<{ recovered: boolean; result?: unknown }> {
        return { recovered: true, result: { from: cls.getStore() } };
      }
    }
    const first = await start({ providers: [Recovering] });
    const task = await first.tasks.submit(Recovering, { input: null, userId: 'alice' });
    await eventually(
      () => first.tasks.getStats().tasks.running,
      (running) => running === 1,
    );
    await first.tasks.shutdown({ timeoutMs: 0 });
    await first.app.close();
    const { tasks } = await start({ providers: [Recovering, Outer, Inner] });
    expect(await tasks.result(task)).toEqual({ from: 'store of alice', seen: true });
  });

  it('fails the attempt by what it throws, answers for a handler that it does not call, and cannot run it twice or late', async () => {
    let calls = 0;
    @TaskInterceptor()
    class Odd implements TaskInterceptor {
      async intercept({ task }: TaskAttempt, next: () => Promise<unknown>): Promise<unknown> {
        if (task.input === 'throws') throw new Error('no unit of work');
        if (task.input === 'answers') return 'instead';
        if (task.input === 'twice') return next().then(next);
        if (task.input === 'swallows') return next().catch((error: Error) => `caught ${error.message}`);
        void next(); // not waited for
        return 'early';
      }
    }
    @TaskHandler('odd', { retry: { maxAttempts: 1 } })
    class Handler {
      async handle(input: string, ctx: TaskContext): Promise<string> {
        calls++;
        if (input === 'swallows') throw new Error('in the handler');
        await ctx.progress({ still: 'running' });
        return 'handled';
      }
    }
    const { tasks } = await start({ providers: [Odd, Handler] });
    const outcome = async (input: string): Promise<unknown> => {
      const task = await tasks.submit(Handler, { input });
      const result = await tasks.result(task).catch((error: TaskFailedError) => error.task.error?.message);
      return [result, (await tasks.getStatus(task))?.lastSeq];
    };
    expect(await outcome('throws')).toEqual(['no unit of work', 3]);
    expect(await outcome('answers')).toEqual(['instead', 3]);
    expect(calls).toBe(0);
    expect(await outcome('twice')).toEqual([expect.stringContaining('Odd called next() twice'), 4]);
    expect(await outcome('swallows')).toEqual(['caught in the handler', 3]);
    // The attempt ends when the handler does: what it emits is part of it.
    expect(await outcome('early')).toEqual(['early', 4]);
    expect(calls).toBe(3);
  });

  it('hears the reason of an interruption from next(), so that a unit of work is rolled back; its answer is no result', async () => {
    @TaskInterceptor()
    class UnitOfWork implements TaskInterceptor {
      async intercept(_run: TaskAttempt, next: () => Promise<unknown>): Promise<unknown> {
        return next().catch((error: Error) => steps.push(`rolled back: ${error.name}`));
      }
    }
    const { tasks } = await start({ providers: [UnitOfWork] }, { shutdown: { timeoutMs: 0 } });
    tasks.defineTask('endless', {
      handler: async function* () {
        for (;;) yield { type: 'progress' };
      },
    });
    const task = await tasks.submit('endless', { input: null });
    await tasks.shutdown({ timeoutMs: 0 });
    expect(steps).toEqual(['rolled back: ShuttingDownError']);
    const system = await folder.system({ executor: { enabled: false } });
    await system.initialize();
    expect((await system.getStatus({ taskId: task.id }))?.status).toBe('created');
  });

  it('is refused at the start without intercept, naming class and module', async () => {
    @TaskInterceptor()
    class Empty {}
    const error: unknown = await start({ providers: [Empty] }).catch((reason: unknown) => reason);
    expect(ConfigValidationError.is(error) && error.issues).toEqual([
      { path: 'AppModule.Empty.intercept', message: expect.stringContaining('is missing') },
    ]);
  });
});

describe('The scope of an attempt', () => {
  @Injectable({ scope: Scope.REQUEST })
  class Tenant {
    readonly id: string | null;
    constructor(@Inject(REQUEST) readonly request: TaskAttempt) {
      this.id = request.task.userId;
    }
  }

  it('gives task and context by REQUEST, and one instance to the interceptors and the handler of an attempt', async () => {
    const made = new Set<Tenant>();
    @TaskInterceptor()
    class Scoped implements TaskInterceptor {
      constructor(readonly tenant: Tenant) {}
      async intercept(run: TaskAttempt, next: () => Promise<unknown>): Promise<unknown> {
        made.add(this.tenant);
        expect(this.tenant.request).toBe(run);
        return next();
      }
    }
    @TaskHandler('scoped', { retry: { maxAttempts: 2, initialDelayMs: 1 } })
    class Handler {
      constructor(readonly tenant: Tenant) {}
      async handle(input: unknown, ctx: TaskContext): Promise<unknown> {
        made.add(this.tenant);
        const { task, context } = this.tenant.request;
        expect(context).toBe(ctx);
        expect([task.name, task.input, task.status]).toEqual(['scoped', input, 'running']);
        if (ctx.attempt === 1) throw new Error('once more');
        return this.tenant.id;
      }
    }
    const { tasks } = await start({ providers: [Tenant, Scoped, Handler] });
    expect(await tasks.result(await tasks.submit(Handler, { input: { a: 1 }, userId: 'acme' }))).toBe('acme');
    expect(made.size).toBe(2);
  });

  it('asks the strategy of durable providers: one connection per tenant, whatever the number of its tasks', async () => {
    let connections = 0;
    @Injectable({ scope: Scope.REQUEST, durable: true })
    class Connection {
      readonly number = ++connections;
      constructor(@Inject(REQUEST) readonly payload: { tenant: string }) {}
    }
    @TaskHandler('durable')
    class Handler {
      constructor(readonly connection: Connection) {}
      async handle(): Promise<unknown> {
        return `${this.connection.payload.tenant} ${this.connection.number}`;
      }
    }
    const tenants = new Map<string, ContextId>();
    ContextIdFactory.apply({
      attach(contextId: ContextId, { task }: { task: Task }) {
        const tenant = task.userId ?? 'none';
        if (!tenants.has(tenant)) tenants.set(tenant, ContextIdFactory.create());
        return {
          resolve: (info: HostComponentInfo) => (info.isTreeDurable ? tenants.get(tenant)! : contextId),
          payload: { tenant },
        };
      },
    } as never);
    const { tasks } = await start({ providers: [Connection, Handler] });
    const results: unknown[] = [];
    for (const userId of ['acme', 'bolt', 'acme', 'bolt'])
      results.push(await tasks.result(await tasks.submit(Handler, { input: null, userId })));
    expect(results).toEqual(['acme 1', 'bolt 2', 'acme 1', 'bolt 2']);
  });
});

describe('TaskflowModule.forFeature', () => {
  @Injectable()
  class Dependency {
    readonly answer = 42;
  }
  @TaskHandler('lazy')
  class Lazy {
    constructor(readonly dependency: Dependency) {}
    async handle(): Promise<number> {
      return this.dependency.answer;
    }
  }

  it('registers the handlers of a lazily loaded module, and what waited for them runs, not before they are made', async () => {
    @Module({
      imports: [TaskflowModule.forFeature([Lazy, Outer])],
      providers: [
        Lazy,
        Outer,
        {
          provide: Dependency,
          useFactory: async () => {
            await new Promise((resolve) => setTimeout(resolve, 20));
            return new Dependency();
          },
        },
      ],
    })
    class LazyModule {}
    const before = await start({ providers: [Lazy, Dependency] }, { executor: { enabled: false } });
    const waiting = await before.tasks.submit(Lazy, { input: null });
    await before.app.close();
    const { app, tasks } = await start({});
    await expect(tasks.submit(Lazy, { input: null })).rejects.toThrow(/forFeature/);
    await expect(tasks.submit(Lazy, { input: null })).rejects.toThrow(HandlerNotFoundError);
    await app.get(LazyModuleLoader).load(() => LazyModule);
    expect(await tasks.result(waiting)).toBe(42);
    expect(await tasks.result(await tasks.submit(Lazy, { input: null }))).toBe(42);
    expect(steps).toContain('outer lazy null 1 null');
  });

  it('changes nothing in a module that is there at the start', async () => {
    const feature = moduleOf({ imports: [TaskflowModule.forFeature([Lazy])], providers: [Lazy, Dependency] }, 'Feature');
    const { tasks } = await start({ imports: [feature] });
    expect(await tasks.result(await tasks.submit(Lazy, { input: null }))).toBe(42);
  });

  it('names the class that is not marked or not provided, and the root that is missing', async () => {
    class Plain {}
    const issuesOf = async (metadata: ModuleMetadata, root = true): Promise<unknown> => {
      const error: unknown = await (root ? start(metadata) : Test.createTestingModule(metadata).compile()).catch(
        (reason: unknown) => reason,
      );
      return ConfigValidationError.is(error) ? error.issues.map(({ path, message }) => `${path} ${message}`).join() : error;
    };
    expect(await issuesOf({ imports: [TaskflowModule.forFeature([Plain])], providers: [Plain] })).toMatch(
      /forFeature\.Plain is not marked/,
    );
    expect(await issuesOf({ imports: [TaskflowModule.forFeature([Lazy])] })).toMatch(/forFeature\.Lazy is no provider/);
    expect(await issuesOf({ imports: [TaskflowModule.forFeature([Lazy])] }, false)).toMatch(/needs TaskflowModule\.forRoot\(\)/);
  });
});

describe('TaskflowModule.forRoot', () => {
  const refusal = async (...imports: NonNullable<ModuleMetadata['imports']>): Promise<string> => {
    const error: unknown = await Test.createTestingModule({ imports: [moduleOf({ imports })] })
      .compile()
      .catch((reason: unknown) => reason);
    return ConfigValidationError.is(error) ? error.message : String(error);
  };

  it('is refused at once when two modules import it, by both names, in whatever form', async () => {
    const a = (): Type<unknown> => moduleOf({ imports: [forRoot()] }, 'Billing');
    const b = (): Type<unknown> => moduleOf({ imports: [TaskflowModule.forRootAsync({ useFactory: () => folder.options() })] }, 'Mailing');
    expect(await refusal(a(), b())).toMatch(/imported twice, by Billing and by Mailing/);
    expect(await refusal(forRoot(), a())).toMatch(/imported twice, by AppModule and by Billing/);
    expect(await refusal(forRoot(), moduleOf({ imports: [TaskflowModule] }, 'Habit'))).toMatch(/by AppModule and by Habit/);
    const dynamic = { module: moduleOf({}, 'Reports'), imports: [forRoot()] };
    expect(await refusal(a(), dynamic)).toMatch(/imported twice, by Reports and by Billing/);
    expect(await refusal(forRoot(), moduleOf({ imports: [forwardRef(() => dynamic)] }, 'Between'))).toMatch(/by AppModule and by Reports/);
    expect(await refusal(TaskflowModule)).toMatch(/import TaskflowModule\.forRoot\(\), once/);
  });

  it('is refused in a lazily loaded module, and the first one goes on', async () => {
    const { app, tasks } = await start({});
    tasks.defineTask('noop', { handler: async () => 'ran' });
    const lazy = moduleOf({ imports: [forRoot()] }, 'LazyModule');
    await expect(app.get(LazyModuleLoader).load(() => lazy)).rejects.toThrow(/imported twice.*LazyModule/s);
    expect(await tasks.result(await tasks.submit('noop', { input: null }))).toBe('ran');
  });

  it('may be one and the same dynamic module in two places', async () => {
    const one = forRoot();
    const app = await Test.createTestingModule({
      imports: [moduleOf({ imports: [one, moduleOf({ imports: [one] }, 'Other')] })],
    }).compile();
    open.push(app);
    await app.init();
    expect(app.get(TaskSystem, { strict: false }).getStats().status).toBe('running');
  });
});
