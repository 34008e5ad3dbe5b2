import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Inject, Injectable, Module, type ModuleMetadata, Scope, type Type } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  ConfigValidationError,
  DeadLetterService,
  EventLogLockedError,
  EventLogService,
  ExecutorService,
  FlushService,
  GuardService,
  InjectTaskflowOptions,
  RecoveryService,
  StreamService,
  type TaskContext,
  TaskflowModule,
  type TaskflowOptions,
  type TaskflowOptionsFactory,
  type TaskflowOptionsInput,
  TaskHandler,
  TaskSystem,
} from 'nestjs-taskflow';
import { TestFolder } from '../support/process/task-system.js';

@Injectable()
class Mailer {
  readonly sent: string[] = [];
}

@TaskHandler('send-email', { timeoutMs: 5_000 })
class SendEmail implements TaskHandler<{ to: string }, { sent: boolean }> {
  constructor(private readonly mailer: Mailer) {}
  async handle(input: { to: string }): Promise<{ sent: boolean }> {
    this.mailer.sent.push(input.to);
    return { sent: true };
  }
}

@Module({ providers: [Mailer, SendEmail], exports: [Mailer] })
class EmailModule {}

let folder: TestFolder;
let open: { close(): Promise<void> }[];
beforeEach(async () => {
  folder = await TestFolder.create();
  open = [];
});
afterEach(async () => {
  for (const app of open) await app.close().catch(() => undefined);
  await folder.dispose();
});

function moduleOf(metadata: ModuleMetadata): Type<unknown> {
  @Module(metadata)
  class AppModule {}
  return AppModule;
}

async function start(metadata: ModuleMetadata): Promise<TestingModule> {
  const app = await Test.createTestingModule({ imports: [moduleOf(metadata)] }).compile();
  open.push(app);
  return app.init();
}

const forRoot = (more: TaskflowOptionsInput = {}) => TaskflowModule.forRoot(folder.options(more));

describe('TaskflowModule', () => {
  it('gives every service by class to a feature module that imports nothing', async () => {
    @Injectable()
    class Feature {
      constructor(
        readonly system: TaskSystem,
        readonly guard: GuardService,
        readonly streams: StreamService,
        readonly log: EventLogService,
        readonly flush: FlushService,
        readonly executor: ExecutorService,
        readonly recovery: RecoveryService,
        readonly deadLetters: DeadLetterService,
        @InjectTaskflowOptions() readonly options: TaskflowOptions,
      ) {}
    }
    @Module({ providers: [Feature] })
    class FeatureModule {}
    const app = await start({ imports: [forRoot(), FeatureModule] });
    const feature = app.get(Feature, { strict: false });
    for (const [name, type] of Object.entries({
      system: TaskSystem,
      guard: GuardService,
      streams: StreamService,
      log: EventLogService,
      flush: FlushService,
      executor: ExecutorService,
      recovery: RecoveryService,
      deadLetters: DeadLetterService,
    })) {
      expect(feature[name as keyof Feature]).toBeInstanceOf(type);
    }
    expect(feature.options).toMatchObject({
      executor: { defaultTimeoutMs: 300_000 },
      eventLog: { eventLogPath: folder.file('events.log') },
    });
    expect(Object.isFrozen(feature.options)).toBe(true);
  });

  it('is seen only where it is imported, with isGlobal false', async () => {
    @Injectable()
    class Feature {
      constructor(readonly system: TaskSystem) {}
    }
    @Module({ providers: [Feature] })
    class FeatureModule {}
    const local = TaskflowModule.forRoot({ ...folder.options(), isGlobal: false });
    await expect(start({ imports: [local, FeatureModule] })).rejects.toThrow(/Nest can't resolve dependencies of the Feature/);
    const app = await start({ imports: [TaskflowModule.forRoot({ ...folder.options(), isGlobal: false })], providers: [Feature] });
    expect(app.get(Feature, { strict: false }).system).toBeInstanceOf(TaskSystem);
  });

  it('runs handlers of several modules, by class and by name, with their own dependencies', async () => {
    @TaskHandler('count')
    class Count {
      handle = async (n: number): Promise<number> => n + 1;
    }
    const app = await start({ imports: [forRoot(), EmailModule], providers: [Count] });
    const system = app.get(TaskSystem, { strict: false });
    const task = await system.submit(SendEmail, { input: { to: 'a' } });
    expect(await system.result(task)).toEqual({ sent: true });
    expect(await system.result(await system.submit('send-email', { input: { to: 'b' } }))).toEqual({ sent: true });
    expect(app.get(Mailer, { strict: false }).sent).toEqual(['a', 'b']);
    expect(task).toMatchObject({ name: 'send-email', status: 'created', lastSeq: 1, timeoutMs: 5_000 });
  });

  it('runs handlers that a factory or a value provides, and takes defineTask beside them', async () => {
    @TaskHandler('factory')
    class ByFactory {
      constructor(readonly base: number) {}
      async handle(n: number): Promise<number> {
        return this.base + n;
      }
    }
    @TaskHandler('value')
    class ByValue extends ByFactory {}
    const app = await start({
      imports: [forRoot()],
      providers: [
        { provide: 'base', useValue: 40 },
        { provide: ByFactory, useFactory: (base: number) => new ByFactory(base), inject: ['base'] },
        { provide: 'handler', useValue: new ByValue(50) },
      ],
    });
    const system = app.get(TaskSystem, { strict: false });
    system.defineTask('defined', { handler: async () => 'yes' });
    expect(await system.result(await system.submit(ByFactory, { input: 2 }))).toBe(42);
    expect(await system.result(await system.submit(ByValue, { input: 2 }))).toBe(52);
    expect(await system.result(await system.submit('defined', { input: null }))).toBe('yes');
  });

  it('makes a request-scoped handler anew for each attempt', async () => {
    const made: PerRequest[] = [];
    const attempts: number[] = [];
    @TaskHandler('per-request', { retry: { maxAttempts: 2, initialDelayMs: 0 } })
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      constructor(
        readonly mailer: Mailer,
        @Inject(REQUEST) readonly request: unknown,
      ) {
        made.push(this);
      }
      async handle(_: unknown, ctx: TaskContext): Promise<string> {
        attempts.push(ctx.attempt);
        if (ctx.attempt === 1) throw new Error('once more');
        return this.mailer.constructor.name;
      }
    }
    const app = await start({ imports: [forRoot(), EmailModule], providers: [PerRequest] });
    const system = app.get(TaskSystem, { strict: false });
    expect(await system.result(await system.submit(PerRequest, { input: null }))).toBe('Mailer');
    expect(attempts).toEqual([1, 2]);
    expect(new Set(made).size).toBe(2);
  });

  it('names class and module of every handler at fault, at start, and leaves the log alone', async () => {
    @TaskHandler('send-email')
    class Twin {
      async handle(): Promise<void> {}
    }
    @TaskHandler('mute')
    class Mute {}
    @TaskHandler('hasty', { timeoutMs: -1, retry: { maxAttemps: 3 } as object })
    class Hasty {
      async handle(): Promise<void> {}
    }
    const error: unknown = await start({ imports: [forRoot(), EmailModule], providers: [Twin, Mute, Hasty] }).catch(
      (reason: unknown) => reason,
    );
    expect(ConfigValidationError.is(error)).toBe(true);
    const paths = (error as ConfigValidationError).issues.map(({ path }) => path).sort();
    expect(paths).toEqual(
      expect.arrayContaining(['AppModule.Hasty.retry.maxAttemps', 'AppModule.Hasty.timeoutMs', 'AppModule.Mute.handle']),
    );
    expect((error as Error).message).toMatch(/EmailModule\.SendEmail.*|AppModule\.Twin/);
    expect((error as Error).message).toContain('maxAttempts');
    // The log is free: the corrected application starts.
    await start({ imports: [forRoot(), EmailModule] });
  });
});

describe('TaskflowModule.forRootAsync', () => {
  @Injectable()
  class Config implements TaskflowOptionsFactory {
    createTaskflowOptions(): TaskflowOptionsInput {
      return folder.options({ guard: { slots: { maxExecutionGlobal: 7 } } });
    }
  }
  @Module({ providers: [Config], exports: [Config] })
  class ConfigModule {}

  it.each([
    [
      'useFactory with imports and inject',
      { imports: [ConfigModule], inject: [Config], useFactory: async (config: Config) => config.createTaskflowOptions() },
    ],
    ['useClass', { useClass: Config }],
    ['useExisting', { imports: [ConfigModule], useExisting: Config }],
  ])('takes its options from %s', async (_form, options) => {
    const app = await start({ imports: [TaskflowModule.forRootAsync(options), EmailModule] });
    const system = app.get(TaskSystem, { strict: false });
    expect(await system.result(await system.submit(SendEmail, { input: { to: 'a' } }))).toEqual({ sent: true });
    expect(app.get(GuardService, { strict: false }).slotsInUse).toBe(0);
  });

  it.each([
    ['none', {}],
    ['two', { useClass: Config, useFactory: () => ({}) }],
  ])('refuses %s of useFactory, useClass and useExisting', (_form, options) => {
    expect(() => TaskflowModule.forRootAsync(options)).toThrow(/exactly one of useFactory, useClass and useExisting/);
  });

  it('refuses options that are wrong in one error with every field and the nearest name', async () => {
    const options = {
      executor: { heartbeatIntervallMs: 5, defaultTimeoutMs: Number.NaN },
      guard: { slots: { maxExecutionGlobal: -1 } },
      retentoin: {},
    };
    const error: unknown = await start({ imports: [TaskflowModule.forRootAsync({ useFactory: () => options })] }).catch(
      (reason: unknown) => reason,
    );
    expect(ConfigValidationError.is(error)).toBe(true);
    const { issues, message } = error as ConfigValidationError;
    expect(issues.map(({ path }) => path).sort()).toEqual([
      'executor.defaultTimeoutMs',
      'executor.heartbeatIntervallMs',
      'guard.slots.maxExecutionGlobal',
      'retentoin',
    ]);
    expect(message).toContain('heartbeatIntervalMs');
    expect(message).toContain('"retention"');
  });
});

describe('several applications in one process', () => {
  it('keep their tasks apart with folders of their own', async () => {
    const other = await TestFolder.create();
    try {
      const [a, b] = [
        await start({ imports: [forRoot(), EmailModule] }),
        await start({ imports: [TaskflowModule.forRoot(other.options()), EmailModule] }),
      ];
      const [first, second] = [a.get(TaskSystem, { strict: false }), b.get(TaskSystem, { strict: false })];
      const task = await first.submit(SendEmail, { input: { to: 'a' } });
      await first.result(task);
      expect(await second.getStatus(task)).toBeNull();
      expect(b.get(Mailer, { strict: false }).sent).toEqual([]);
      await b.close();
    } finally {
      await other.dispose();
    }
  });

  it('refuse a log that another one holds, and start once it is free', async () => {
    const first = await start({ imports: [forRoot(), EmailModule] });
    const error: unknown = await start({ imports: [forRoot(), EmailModule] }).catch((reason: unknown) => reason);
    expect(EventLogLockedError.is(error)).toBe(true);
    await first.close();
    const second = await start({ imports: [forRoot(), EmailModule] });
    const system = second.get(TaskSystem, { strict: false });
    expect(await system.result(await system.submit(SendEmail, { input: { to: 'a' } }))).toEqual({ sent: true });
  });
});
