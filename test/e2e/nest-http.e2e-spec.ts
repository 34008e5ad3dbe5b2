import 'reflect-metadata';
import { once } from 'node:events';
import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Body, Controller, Delete, Get, Headers, type INestApplication, Module, Param, Post, Sse, type Type } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { IsEmail, IsInt, Min } from 'class-validator';
import {
  LastEventId,
  type TaskContext,
  TaskflowExceptionFilter,
  TaskflowModule,
  type TaskflowOptionsInput,
  TaskHandler,
  TaskSystem,
} from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

class ImportDto {
  @IsEmail() readonly email!: string;
  @IsInt() @Min(1) readonly rows!: number;
}

let release: () => void;
let held: Promise<void>;
const starts: { attempt: number; fence: number; recovered?: string }[] = [];

@TaskHandler('import', { input: ImportDto })
class Import implements TaskHandler<ImportDto, { rows: number }> {
  async handle(input: ImportDto, ctx: TaskContext): Promise<{ rows: number }> {
    starts.push({ attempt: ctx.attempt, fence: ctx.fence });
    await ctx.progress({ row: 1 });
    await Promise.race([held, new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)))]);
    return { rows: input.rows };
  }
}

@Controller('imports')
class ImportController {
  constructor(private readonly tasks: TaskSystem) {}

  @Post()
  submit(@Body() input: ImportDto, @Headers('x-user') userId: string) {
    return this.tasks.submit(Import, { input, userId });
  }
  @Get(':key')
  status(@Param('key') key: string, @Headers('x-user') userId: string) {
    return this.tasks.getStatus(key, { userId });
  }
  @Delete(':key')
  cancel(@Param('key') key: string, @Headers('x-user') userId: string) {
    return this.tasks.cancel(key, { userId });
  }
  @Sse(':key/events')
  events(@Param('key') key: string, @Headers('x-user') userId: string, @LastEventId() lastSeq?: number) {
    return this.tasks.sse(key, { userId, lastSeq });
  }
}

let folder: TestFolder;
let apps: INestApplication[];
beforeEach(async () => {
  folder = await TestFolder.create();
  apps = [];
  starts.length = 0;
  onClosing = () => Promise.resolve();
  held = new Promise((resolve) => (release = resolve));
});
afterEach(async () => {
  release();
  for (const app of apps) await app.close();
  await folder.dispose();
});

/** Longer than any test may take: an app that waits for a connection to idle out when it closes is found by that. */
const IDLE_MS = 3_600_000;

/** Hooks of other modules, before and after ours and in the root. */
let onClosing: () => Promise<void> = () => Promise.resolve();
class Closing {
  beforeApplicationShutdown(): Promise<void> {
    return onClosing();
  }
}
const closingModule = (): Type => {
  @Module({ providers: [Closing] })
  class ClosingModule {}
  return ClosingModule;
};

async function listen(more: TaskflowOptionsInput = {}): Promise<INestApplication> {
  @Module({
    imports: [closingModule(), TaskflowModule.forRoot(folder.options(more)), closingModule()],
    providers: [Closing, Import, { provide: APP_FILTER, useClass: TaskflowExceptionFilter }],
    controllers: [ImportController],
  })
  class AppModule {}
  const app = await NestFactory.create(AppModule, { logger: false });
  apps.push(app);
  app.getHttpServer().keepAliveTimeout = IDLE_MS;
  await app.listen(0, '127.0.0.1');
  return app;
}

const urlOf = (app: INestApplication, path: string): string =>
  `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/imports${path}`;
const call = (app: INestApplication, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(urlOf(app, path), {
    ...init,
    headers: { 'x-user': 'alice', ...(init.body === undefined ? {} : { 'content-type': 'application/json' }), ...init.headers },
  });
const submit = async (app: INestApplication): Promise<string> => {
  const response = await call(app, '', { method: 'POST', body: JSON.stringify({ email: 'a@b.example', rows: 3 }) });
  expect(response.status).toBe(201);
  return ((await response.json()) as { idempotencyKey: string }).idempotencyKey;
};
const idsOf = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
const running = (app: INestApplication, key: string) =>
  eventually(
    () => app.get(TaskSystem).getStatus(key),
    (task) => task?.lastSeq === 3,
  );

describe('over HTTP', () => {
  it('submits, streams, resumes after Last-Event-ID by header or query, and answers 204 when nothing will come', async () => {
    const app = await listen();
    const key = await submit(app);
    const stream = await call(app, `/${key}/events`);
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    await running(app, key);
    release();
    const text = await stream.text();
    expect(idsOf(text)).toEqual([1, 2, 3, 4]);
    expect(text).not.toContain('alice');
    expect(await (await call(app, `/${key}`)).json()).toMatchObject({
      status: 'completed',
      result: { rows: 3 },
      createdAt: expect.stringMatching(/Z$/),
    });

    expect(idsOf(await (await call(app, `/${key}/events`, { headers: { 'last-event-id': '2' } })).text())).toEqual([3, 4]);
    expect(idsOf(await (await call(app, `/${key}/events?lastEventId=3`)).text())).toEqual([4]);
    for (const past of ['4', '99']) expect((await call(app, `/${key}/events`, { headers: { 'last-event-id': past } })).status).toBe(204);
    expect((await call(app, `/${key}`, { method: 'DELETE' })).status).toBe(409);
  });

  it('refuses bad input with every field named, positions that cannot be, other users and unknown tasks', async () => {
    const app = await listen();
    const refused = await call(app, '', { method: 'POST', body: JSON.stringify({ email: 'no', rows: 0 }) });
    expect(refused.status).toBe(400);
    const body = (await refused.json()) as { code: string; issues: { path: string }[] };
    expect(body).toMatchObject({ code: 'VALIDATION_FAILED', field: 'input' });
    expect(new Set(body.issues.map(({ path }) => path))).toEqual(new Set(['email', 'rows']));
    const key = await submit(app);
    await running(app, key);
    for (const id of ['abc', '-1', '1.5', '99', '9007199254740993', '0x1']) {
      const response = await call(app, `/${key}/events`, { headers: { 'last-event-id': id } });
      expect([id, response.status, response.headers.get('content-type')]).toEqual([id, 400, expect.stringContaining('application/json')]);
    }
    for (const path of [`/${key}/events`, '/no-such-key/events'])
      expect((await call(app, path, { headers: { 'x-user': 'mallory' } })).status).toBe(404);
    expect(await (await call(app, `/${key}`, { headers: { 'x-user': 'mallory' } })).text()).toBe('');
    expect((await call(app, `/${key}`, { headers: { 'x-user': 'x'.repeat(300) } })).status).toBe(400);
    const noUser = await call(app, `/${key}`, { headers: { 'x-user': '' } });
    expect(noUser.status).toBe(400);
  });

  it('tells how long to wait when a limit refuses', async () => {
    const app = await listen({ guard: { backpressure: { maxTasksPerUserWindow: 1 } }, stream: { maxSubscribersPerTask: 1 } });
    const key = await submit(app);
    const refused = await call(app, '', { method: 'POST', body: JSON.stringify({ email: 'a@b.example', rows: 3 }) });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(await refused.json()).toMatchObject({ code: 'BACKPRESSURE', limit: 'user', retryAfterMs: expect.any(Number) });
    const first = get(urlOf(app, `/${key}/events`), { headers: { 'x-user': 'alice' } });
    await once(first, 'response');
    const second = await call(app, `/${key}/events`);
    expect([second.status, Number(second.headers.get('retry-after')) > 0]).toEqual([429, true]);
    await second.text();
    first.destroy();
    await eventually(
      () => app.get(TaskSystem).getStats().streams.subscribers,
      (count) => count === 0,
    );
    // Leaving never touches the task.
    expect(await app.get(TaskSystem).getStatus(key)).toMatchObject({ status: 'running' });
  });

  it('on close ends streams with a retry hint, releases the running task without burning an attempt, and goes on at the next start', async () => {
    const shutdown = { timeoutMs: 50, forceKillTimeoutMs: 50 };
    const app = await listen({ shutdown });
    const key = await submit(app);
    const stream = await call(app, `/${key}/events`);
    await running(app, key);
    await app.close();
    const text = await stream.text();
    expect(text).toMatch(/^retry: \d+$/m);
    expect(text).not.toContain('event: failed');
    const seen = idsOf(text);

    const next = await listen({ shutdown });
    release();
    const rest = await (await call(next, `/${key}/events`, { headers: { 'last-event-id': String(seen.at(-1)) } })).text();
    expect([...seen, ...idsOf(rest)].filter((id, at, all) => at === 0 || id !== all[at - 1])).toEqual(
      Array.from({ length: 7 }, (_, at) => at + 1),
    );
    const events = [];
    for await (const { type, payload } of next.get(TaskSystem).subscribe(key, { userId: 'alice' })) events.push([type, payload?.reason]);
    expect(events.map(([type]) => type)).toEqual(['created', 'start', 'progress', 'retry', 'start', 'progress', 'complete']);
    expect(events[3]).toEqual(['retry', 'shutdown']);
    expect(starts).toEqual([
      { attempt: 1, fence: 1 },
      { attempt: 1, fence: 2 },
    ]);
    expect(await next.get(TaskSystem).getStatus(key)).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it("asks browsers to come back only when every other module's closing is over, since the port answers 503 until then", async () => {
    const app = await listen({ shutdown: { timeoutMs: 50, forceKillTimeoutMs: 50 } });
    const key = await submit(app);
    const stream = await call(app, `/${key}/events`);
    await running(app, key);
    let text = '';
    const read = stream.body!.pipeThrough(new TextDecoderStream()).pipeTo(new WritableStream({ write: (part) => void (text += part) }));
    const heard: boolean[] = [];
    onClosing = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      heard.push(text.includes('retry:'));
    };
    await app.close();
    await read;
    expect(heard).toEqual([false, false, false]);
    expect(text).toMatch(/id: \d+\nretry: \d+\n\n$/);
  });

  it('lets a running task finish within shutdown.timeoutMs, and refuses submits meanwhile', async () => {
    const app = await listen({ shutdown: { timeoutMs: 10_000 } });
    const key = await submit(app);
    await running(app, key);
    const system = app.get(TaskSystem);
    const closing = app.close();
    await eventually(
      () => system.getStats().status,
      (status) => status === 'stopping',
    );
    await expect(system.submit(Import, { input: { email: 'a@b.example', rows: 1 } })).rejects.toMatchObject({
      name: 'ShuttingDownError',
      status: 503,
    });
    release();
    await closing;
    const next = await listen();
    expect(await next.get(TaskSystem).getStatus(key)).toMatchObject({ status: 'completed', fence: 1 });
  });
});
