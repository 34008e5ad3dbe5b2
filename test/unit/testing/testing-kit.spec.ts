import { Controller, Get, Inject, Injectable, type INestApplication, Param, Sse } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  EventLogError,
  EventLogFullError,
  OnTask,
  RepositoryError,
  type Task,
  type TaskContext,
  TaskHandler,
  TaskSystem,
} from '../../../lib/index.js';
import { collect, taskContext, TaskflowTesting, TaskflowTestingModule } from '../../../lib/testing/index.js';

interface Mail {
  to: string;
}
@Injectable()
class Mailer {
  readonly sent: string[] = [];
  failures = 0;
  async send(to: string): Promise<void> {
    if (this.failures-- > 0) throw new Error('the server is away');
    this.sent.push(to);
  }
}
@Injectable()
@TaskHandler('send-email', { retry: { maxAttempts: 3, initialDelayMs: 1_000, backoffMultiplier: 2 } })
class SendEmail implements TaskHandler<Mail, { sent: string }> {
  constructor(@Inject(Mailer) private readonly mailer: Mailer) {}
  async handle({ to }: Mail, ctx: TaskContext): Promise<{ sent: string }> {
    await ctx.progress({ sending: to });
    await this.mailer.send(to);
    return { sent: to };
  }
}
@Injectable()
@TaskHandler('hangs', { timeoutMs: 30_000, retry: { maxAttempts: 1 } })
class Hangs implements TaskHandler<null, void> {
  readonly reasons: unknown[] = [];
  handle(_input: null, { signal }: TaskContext): Promise<void> {
    return new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        this.reasons.push(signal.reason);
        reject(signal.reason as Error);
      }),
    );
  }
}
@Injectable()
class Ears {
  readonly heard: string[] = [];
  @OnTask('completed')
  completed({ name }: Task): void {
    this.heard.push(name);
  }
}
@Controller('emails')
class EmailController {
  constructor(@Inject(TaskSystem) private readonly tasks: TaskSystem) {}
  @Get(':to')
  async submit(@Param('to') to: string): Promise<Task> {
    return this.tasks.submit(SendEmail, { input: { to } });
  }
  @Sse(':id/events')
  events(@Param('id') taskId: string) {
    return this.tasks.sse({ taskId });
  }
}

let app: INestApplication;
async function start(options: object = {}): Promise<{ kit: TaskflowTesting; tasks: TaskSystem; mailer: Mailer }> {
  const module = await Test.createTestingModule({
    imports: [TaskflowTestingModule.forTest(options)],
    controllers: [EmailController],
    providers: [Mailer, SendEmail, Hangs, Ears],
  }).compile();
  app = module.createNestApplication({ logger: false });
  await app.init();
  return { kit: app.get(TaskflowTesting), tasks: app.get(TaskSystem), mailer: app.get(Mailer) };
}
afterEach(() => app.close());
const statusOf = async (tasks: TaskSystem, task: Task): Promise<unknown> => (await tasks.getStatus(task))?.status;

describe('TaskflowTesting', () => {
  it('runs nothing by itself, one attempt by runNext, and all that is due by drain', async () => {
    const { kit, tasks, mailer } = await start();
    const [first, second, third] = await Promise.all(['a', 'b', 'c'].map((to) => tasks.submit(SendEmail, { input: { to } })));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(mailer.sent).toEqual([]);
    expect(await kit.runNext()).toMatchObject({ id: first!.id, status: 'completed', result: { sent: 'a' } });
    expect([await statusOf(tasks, first!), await statusOf(tasks, second!)]).toEqual(['completed', 'created']);
    await kit.drain();
    expect(mailer.sent).toEqual(['a', 'b', 'c']);
    expect(await statusOf(tasks, third!)).toBe('completed');
    expect(await kit.runNext()).toBeNull();
    expect(app.get(Ears).heard).toEqual(['send-email', 'send-email', 'send-email']);
  });

  it('runs tasks by themselves for whoever waits for their end', async () => {
    const { tasks } = await start();
    const task = await tasks.submit(SendEmail, { input: { to: 'a' } });
    expect(await tasks.result(task)).toEqual({ sent: 'a' });
    const next = await tasks.submit(SendEmail, { input: { to: 'b' } });
    const events = await collect(tasks.subscribe(next));
    expect(events.map(({ type, seq }) => [type, seq])).toEqual([
      ['created', 1],
      ['start', 2],
      ['progress', 3],
      ['complete', 4],
    ]);
    expect(await collect(tasks.subscribe(next), { max: 2 })).toHaveLength(2);
  });

  it('moves delays, retries and timeouts by its clock', async () => {
    const { kit, tasks, mailer } = await start();
    const delayed = await tasks.submit(SendEmail, { input: { to: 'later' }, delayMs: 3_600_000 });
    expect(await kit.runNext()).toBeNull();
    await kit.clock.advance(3_599_999);
    expect(await statusOf(tasks, delayed)).toBe('created');
    await kit.clock.advance(1);
    expect(await statusOf(tasks, delayed)).toBe('completed');
    expect(await kit.runNext()).toMatchObject({ id: delayed.id });
    expect(await kit.runNext()).toBeNull();

    mailer.failures = 2;
    const retried = await tasks.submit(SendEmail, { input: { to: 'again' } });
    expect(await kit.runNext()).toMatchObject({ status: 'created', attempt: 2 });
    expect(await kit.runNext()).toBeNull();
    await kit.clock.advance(3_000);
    expect(await tasks.getStatus(retried)).toMatchObject({ status: 'completed', attempt: 3 });

    const hanging = await tasks.submit(Hangs, { input: null });
    await kit.clock.advance(29_999);
    expect(await statusOf(tasks, hanging)).toBe('running');
    await kit.clock.advance(1);
    expect(await tasks.getStatus(hanging)).toMatchObject({ status: 'failed', error: { name: 'TaskTimeoutError' } });
  });

  it('moves the windows of backpressure, and retention', async () => {
    const { kit, tasks } = await start({
      guard: { backpressure: { maxTasksPerWindow: 1, windowSizeMs: 60_000 } },
      retention: { completedTtlMs: 3_600_000 },
    });
    const task = await tasks.submit(SendEmail, { input: { to: 'a' } });
    await kit.drain();
    await expect(tasks.submit(SendEmail, { input: { to: 'b' } })).rejects.toMatchObject({ limit: 'global', retryAfterMs: 60_000 });
    await kit.clock.advance(60_000);
    await tasks.submit(SendEmail, { input: { to: 'b' } });
    await kit.clock.advance(2 * 3_600_000);
    expect(await tasks.getStatus(task)).toBeNull();
  });

  it('says what was submitted, by handler and input, and shows it when it was not', async () => {
    const { kit, tasks } = await start();
    await tasks.submit(SendEmail, { input: { to: 'a@b.example', cc: ['x'] } as Mail });
    await tasks.submit('hangs', { input: null });
    expect(kit.expectSubmitted(SendEmail, { to: expect.stringContaining('@') })).toMatchObject({ status: 'created', lastSeq: 1 });
    expect(kit.expectSubmitted('hangs').name).toBe('hangs');
    expect(kit.submitted().map(({ name }) => name)).toEqual(['send-email', 'hangs']);
    expect(kit.submitted(Hangs)).toHaveLength(1);
    expect(() => kit.expectSubmitted(SendEmail, { to: 'c' })).toThrow(
      /send-email was submitted with {"to":"c"}.*{"to":"a@b.example","cc":\["x"\]}/s,
    );
    expect(() => kit.expectSubmitted(SendEmail, { cc: [] })).toThrow('was submitted with');
    expect(() => kit.expectSubmitted(Mailer as never)).toThrow('Mailer is not marked with @TaskHandler.');
  });

  it('sees the attempts of a handler, and answers in its place', async () => {
    const { kit, tasks, mailer } = await start();
    const spy = kit.spyOn(SendEmail);
    mailer.failures = 1;
    const task = await tasks.submit(SendEmail, { input: { to: 'a' } });
    await kit.clock.advance(10_000);
    expect(spy.calls).toMatchObject([
      { input: { to: 'a' }, attempt: 1, outcome: { threw: new Error('the server is away') } },
      { attempt: 2, outcome: { returned: { sent: 'a' } } },
    ]);
    spy.answer(({ to }) => ({ sent: `not ${to}` }));
    expect(await tasks.result(await tasks.submit(SendEmail, { input: { to: 'b' } }))).toEqual({ sent: 'not b' });
    spy.answer();
    expect(await tasks.result(await tasks.submit(SendEmail, { input: { to: 'c' } }))).toEqual({ sent: 'c' });
    expect([await statusOf(tasks, task), mailer.sent, spy.calls.length]).toEqual(['completed', ['a', 'c'], 4]);
  });

  it('loses in a crash what was not synced, and nothing else, and goes on', async () => {
    const { kit, tasks } = await start();
    tasks.defineTask('by-hand', { handler: async () => 'done' });
    const hangs = app.get(Hangs);
    const [queued, byHand, running] = [
      await tasks.submit(SendEmail, { input: { to: 'a' }, userId: 'alice', idempotencyKey: 'k' }),
      await tasks.submit('by-hand', { input: 1 }),
      await tasks.submit(Hangs, { input: null }),
    ];
    void kit.drain().catch(() => undefined);
    while ((await statusOf(tasks, queued)) !== 'completed') await new Promise((resolve) => setTimeout(resolve, 1));
    const unsynced = tasks.submit(SendEmail, { input: { to: 'lost' } });
    await Promise.all([kit.crash(), expect(unsynced).rejects.toThrow()]);
    expect(hangs.reasons[0]).toBeInstanceOf(EventLogError);
    expect(await tasks.getStatus(queued)).toMatchObject({ status: 'completed', result: { sent: 'a' } });
    expect(await tasks.submit(SendEmail, { input: { to: 'a' }, userId: 'alice', idempotencyKey: 'k' })).toMatchObject({ id: queued.id });
    expect(await tasks.getStatus(running)).toMatchObject({ status: 'created', recoveries: 1 });
    expect(await tasks.result(byHand)).toBe('done');
    await kit.clock.advance(30_000);
    expect(await tasks.getStatus(running)).toMatchObject({ status: 'failed', error: { name: 'TaskTimeoutError' } });
    expect((await tasks.list()).items).toHaveLength(3);
  });

  it('has the log full, failed, and the database away or silent, until it is told otherwise', async () => {
    const { kit, tasks } = await start();
    const submit = (): Promise<Task> => tasks.submit(SendEmail, { input: { to: 'a' } });
    kit.fail('log-full');
    await expect(submit()).rejects.toBeInstanceOf(EventLogFullError);
    kit.fail(null);
    await kit.clock.advance(1_000);
    await submit();
    kit.fail('database-away');
    await submit();
    await expect(tasks.list()).rejects.toBeInstanceOf(RepositoryError);
    kit.fail('database-silent');
    const silent = expect(tasks.list()).rejects.toBeInstanceOf(RepositoryError);
    await kit.clock.advance(10_000);
    await silent;
    kit.fail(null);
    expect((await tasks.list()).items).toHaveLength(2);
    kit.fail('log-failed');
    await expect(submit()).rejects.toMatchObject({ state: 'failed', outcome: 'unknown' });
    kit.fail(null);
    await expect(submit()).rejects.toBeInstanceOf(EventLogError);
    await kit.crash();
    await submit();
    expect((await tasks.list()).items).toHaveLength(3);
  });

  it('serves controllers and their streams', async () => {
    const { kit } = await start();
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const { id } = (await (await fetch(`${url}/emails/a`)).json()) as { id: string };
    expect(kit.expectSubmitted(SendEmail, { to: 'a' }).id).toBe(id);
    const body = await (await fetch(`${url}/emails/${id}/events`)).text();
    expect(body).toMatch(/event: created[^]*event: progress[^]*event: complete/);
  });

  it('names the runs that do not end', async () => {
    const { kit, tasks } = await start();
    const task = await tasks.submit(Hangs, { input: null });
    await expect(kit.drain()).rejects.toThrow(`Running: hangs ${task.id} (attempt 1)`);
    await kit.clock.advance(30_000);
  });
});

describe('taskContext', () => {
  it('is what a handler needs for a unit test', async () => {
    await start();
    const ctx = taskContext({ attempt: 2 });
    const mailer = new Mailer();
    expect(await new SendEmail(mailer).handle({ to: 'a' }, ctx)).toEqual({ sent: 'a' });
    await ctx.emit('named', 1);
    expect(ctx).toMatchObject({ attempt: 2, maxAttempts: 3, fence: 1 });
    expect(ctx.emitted).toEqual([
      { type: 'progress', payload: { sending: 'a' } },
      { type: 'custom', eventName: 'named', payload: 1 },
    ]);
  });
});
