import 'reflect-metadata';
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Inject, Injectable, Module, Scope, type Type } from '@nestjs/common';
import { LazyModuleLoader, REQUEST } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { ConfigValidationError, createHooks, OnTask, type Task, TaskflowModule, TaskHandler, TaskSystem } from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { silent, TestFolder } from '../support/process/task-system.js';

const requests = new AsyncLocalStorage<string>();
let folder: TestFolder;
let open: TestingModule[];
let errors: string[];
let heard: string[];
beforeEach(async () => {
  folder = await TestFolder.create();
  open = [];
  errors = [];
  heard = [];
});
afterEach(async () => {
  for (const app of open) await app.close().catch(() => undefined);
  await folder.dispose();
});

async function start(providers: Type<unknown>[], more = {}): Promise<{ app: TestingModule; tasks: TaskSystem }> {
  const note = (...parts: unknown[]): void => void errors.push(parts.map(String).join(' '));
  const options = folder.options({ hooks: createHooks({ logger: { ...silent, error: note, warn: note } }), ...more });
  const root = class AppModule {};
  Module({ imports: [TaskflowModule.forRoot(options)], providers })(root);
  const app = await Test.createTestingModule({ imports: [root] }).compile();
  open.push(app);
  await app.init();
  return { app, tasks: app.get(TaskSystem) };
}
const named = (label: string) =>
  eventually(
    () => heard.filter((each) => each.startsWith(label)).length,
    (count) => count > 0,
  );

@TaskHandler('pay', { retry: { maxAttempts: 2, initialDelayMs: 1 } })
class Pay {
  async handle(input: { fails: number }, ctx: { attempt: number }): Promise<{ paid: boolean }> {
    if (ctx.attempt <= input.fails) throw new Error(`declined ${ctx.attempt}`);
    return { paid: true };
  }
}

const say = (moment: string, task: Task): void =>
  void heard.push(`${moment} ${task.name} ${task.status} ${JSON.stringify(task.input)} ${task.lastSeq} ${requests.getStore() ?? 'nobody'}`);

@Injectable()
class Everything {
  @OnTask('started') onStarted(task: Task): void {
    say('started', task);
  }
  @OnTask('retried') onRetried(task: Task): void {
    say('retried', task);
  }
  @OnTask('completed') async onCompleted(task: Task): Promise<void> {
    say(`completed ${JSON.stringify(task.result)}`, task);
  }
  @OnTask('failed') onFailed(task: Task): void {
    say(`failed ${task.error?.message}`, task);
  }
  @OnTask('cancelled') onCancelled(task: Task): void {
    say('cancelled', task);
  }
}

describe('@OnTask', () => {
  it("hears of each event in order, after it is durable, with the task as of it, in nobody's context", async () => {
    const { tasks } = await start([Pay, Everything]);
    const submit = (input: unknown, more = {}) => requests.run('alice', () => tasks.submit(Pay, { input, ...more } as never));
    await tasks.result(await submit({ fails: 1 }));
    await named('completed');
    expect(heard).toEqual([
      'started pay running {"fails":1} 2 nobody',
      'retried pay created {"fails":1} 3 nobody',
      'started pay running {"fails":1} 4 nobody',
      'completed {"paid":true} pay completed {"fails":1} 5 nobody',
    ]);
    heard.length = 0;
    await tasks.result(await submit({ fails: 2 })).catch(() => undefined);
    await named('failed');
    expect(heard.at(-1)).toBe('failed declined 2 pay failed {"fails":2} 5 nobody');
    heard.length = 0;
    await requests.run('admin', async () => tasks.cancel(await submit({ fails: 0 }, { delayMs: 60_000 })));
    await named('cancelled');
    expect(heard).toEqual(['cancelled pay cancelled {"fails":0} 2 nobody']);
  });

  it('hears of the tasks of one handler or name only, those of defineTask too', async () => {
    @Injectable()
    class Some {
      @OnTask('completed', Pay)
      @OnTask('completed', 'other')
      done(task: Task): void {
        heard.push(task.name);
      }
    }
    const { tasks } = await start([Pay, Some]);
    for (const name of ['other', 'third']) tasks.defineTask(name, { handler: async () => undefined });
    for (const name of ['third', 'pay', 'other']) await tasks.result(await tasks.submit(name, { input: { fails: 0 } }));
    await eventually(
      () => heard.length,
      (count) => count === 2,
    );
    expect(heard).toEqual(['pay', 'other']);
  });

  it('changes nothing by what it throws, and delays nothing by being slow; the log names it', async () => {
    @Injectable()
    class Bad {
      @OnTask('started') async slow(): Promise<void> {
        await new Promise(() => undefined);
      }
      @OnTask('completed') async rejects(): Promise<void> {
        throw new Error('no webhook', { cause: new Error('ECONNREFUSED') });
      }
      @OnTask('completed') throws(): void {
        throw new Error('at once');
      }
    }
    const { app, tasks } = await start([Pay, Bad]);
    for (let n = 0; n < 20; n++) expect(await tasks.result(await tasks.submit(Pay, { input: { fails: 0 } }))).toEqual({ paid: true });
    await tasks.shutdown();
    await app.close();
    // The first listener of each task never ends: a shutdown does not wait for ever, and says what it left.
    expect(errors.join('\n')).toMatch(/calls of @OnTask listeners were not over/);
    const again = await start([Pay, class Empty {}]);
    expect((await again.tasks.list()).items.every((task) => task.status === 'completed')).toBe(true);
  });

  it('is logged with class, method, task and stacks when it fails', async () => {
    @Injectable()
    class Bad {
      @OnTask('completed') async rejects(): Promise<void> {
        throw new Error('no webhook', { cause: new Error('ECONNREFUSED') });
      }
      @OnTask('completed') throws(): void {
        throw new Error('at once');
      }
    }
    const { tasks } = await start([Pay, Bad]);
    const task = await tasks.submit(Pay, { input: { fails: 0 } });
    await eventually(
      () => errors.filter((line) => line.includes('@OnTask')),
      (lines) => lines.length === 2,
    );
    const text = errors.join('\n');
    expect(text).toMatch(
      new RegExp(
        `@OnTask listener AppModule\\.Bad\\.rejects for task pay \\(${task.id}\\) failed.*no webhook.*Caused by: Error: ECONNREFUSED`,
        's',
      ),
    );
    expect(text).toContain('AppModule.Bad.throws');
  });

  it('hears of what a shutdown makes before its dependencies go, and of what was recovered once the application is up', async () => {
    @TaskHandler('long')
    class Long {
      async handle(_input: unknown, ctx: { signal: AbortSignal }): Promise<void> {
        await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));
      }
    }
    @Injectable()
    class Watch {
      private isDestroyed = false;
      onModuleDestroy(): void {
        this.isDestroyed = true;
      }
      @OnTask('retried') async onRetried(task: Task): Promise<void> {
        await new Promise((resolve) => setTimeout(resolve, 20));
        heard.push(`${task.name} ${this.isDestroyed}`);
      }
    }
    const { app, tasks } = await start([Long, Watch], { shutdown: { timeoutMs: 0 } });
    await tasks.submit(Long, { input: null });
    await eventually(
      () => tasks.getStats().tasks.running,
      (running) => running === 1,
    );
    await app.close();
    expect(heard).toEqual(['long false']);
  });

  it('is made anew for each call where it is request-scoped, and found in a lazily loaded module by forFeature', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Scoped {
      constructor(@Inject(REQUEST) private readonly request: { task: Task }) {}
      @OnTask('completed') done(task: Task): void {
        heard.push(`scoped ${this.request.task === task}`);
      }
    }
    @Module({ imports: [TaskflowModule.forFeature([Everything])], providers: [Everything] })
    class LazyModule {}
    const { app, tasks } = await start([Pay, Scoped]);
    await app.get(LazyModuleLoader).load(() => LazyModule);
    await tasks.result(await tasks.submit(Pay, { input: { fails: 0 } }));
    await named('scoped');
    await named('completed');
    expect(heard).toContain('scoped true');
  });

  it('is refused at the start with an event that is none, or a handler that is none', async () => {
    @Injectable()
    class Wrong {
      @OnTask('finished' as never) a(): void {}
      @OnTask('failed', Everything as never) b(): void {}
      @OnTask('failed', undefined) c(): void {}
    }
    const error: unknown = await start([Wrong]).catch((reason: unknown) => reason);
    expect(ConfigValidationError.is(error) && error.issues.map(({ path, message }) => `${path} ${message}`)).toEqual([
      expect.stringMatching(/AppModule\.Wrong\.a .*one of started, retried/),
      expect.stringMatching(/AppModule\.Wrong\.b .*not marked with @TaskHandler/),
      expect.stringMatching(/AppModule\.Wrong\.c .*is undefined/),
    ]);
  });
});
