import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  type INestApplication,
  Injectable,
  type MessageEvent,
  Module,
  type NestInterceptor,
  Query,
  Sse,
  UseInterceptors,
} from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { LastEventIds, type Task, TaskEvents, TaskflowExceptionFilter, TaskflowModule, TaskSse, TaskSystem } from 'nestjs-taskflow';
import { type TaskMessage, watchTasks } from 'nestjs-taskflow/client';
import { map, type Observable } from 'rxjs';
import { eventually } from '../support/clock/patience.js';
import { silent, TestFolder } from '../support/process/task-system.js';

const userOf = (context: ExecutionContext): string =>
  context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['x-user']!;

/** As the envelopes of many applications. */
@Injectable()
class Envelope implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ data, statusCode: 200 })));
  }
}

@Controller()
class StreamController {
  constructor(private readonly tasks: TaskSystem) {}

  @UseInterceptors(Envelope)
  @TaskSse('mine', (context) => ({ many: { userId: userOf(context) } }))
  mine(@TaskEvents() events: Observable<MessageEvent>): Observable<MessageEvent> {
    return events;
  }
  @Sse('named')
  named(@Query('ids') ids: string, @LastEventIds() cursors?: Record<string, number>): Promise<Observable<MessageEvent>> {
    return this.tasks.sseMany({ refs: ids.split(',').map((taskId) => ({ taskId })) }, { cursors });
  }
}
@Module({ controllers: [StreamController], providers: [{ provide: APP_FILTER, useClass: TaskflowExceptionFilter }] })
class StreamModule {}

const ADAPTERS = { Express: () => new ExpressAdapter(), Fastify: () => new FastifyAdapter() as unknown as ExpressAdapter };
let folder: TestFolder;
let app: INestApplication;
let tasks: TaskSystem;
let url: string;
const watches: { close(): void }[] = [];

beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  for (const watch of watches.splice(0)) watch.close();
  app.getHttpServer().closeAllConnections();
  await app.close();
  await folder.dispose();
});

async function listen(adapter: keyof typeof ADAPTERS): Promise<void> {
  const options = folder.options({ hooks: { logger: silent } });
  app = await NestFactory.create({ module: StreamModule, imports: [TaskflowModule.forRoot(options)] }, ADAPTERS[adapter](), {
    logger: false,
  });
  tasks = app.get(TaskSystem);
  tasks.defineTask<number>('count', {
    handler: async (to, ctx) => {
      for (let i = 0; i < to; i++) await ctx.progress(i);
    },
  });
  await app.listen(0, '127.0.0.1');
  url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
}
const submit = (count: number, userId: string): Promise<Task> => tasks.submit('count', { input: count, userId });

/** What came, task by task; every connection is lost after `cutAfter` events. */
function watch(
  path: string,
  user: string,
  cutAfter = Number.POSITIVE_INFINITY,
): { seen: Map<string, number[]>; done: Promise<unknown>; cuts(): number } {
  const seen = new Map<string, number[]>();
  let [left, cuts] = [cutAfter, 0];
  const watched = watchTasks(`${url}/${path}`, {
    headers: { 'x-user': user },
    fetch: async (input, init) => {
      const cut = new AbortController();
      left = cutAfter;
      init!.signal!.addEventListener('abort', () => cut.abort());
      abort = () => cut.abort();
      return fetch(input, { ...init, signal: cut.signal });
    },
    onEvent: ({ taskId, seq }: TaskMessage) => {
      seen.set(taskId, [...(seen.get(taskId) ?? []), seq]);
      if (--left > 0) return;
      cuts += 1;
      abort();
    },
  });
  let abort: () => void = () => undefined;
  watches.push(watched);
  return { seen, done: watched.done, cuts: () => cuts };
}
const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);

describe.each(Object.keys(ADAPTERS) as (keyof typeof ADAPTERS)[])('Many tasks on one connection (%s)', (adapter) => {
  it('tells a user of all the own tasks, of new ones too, through lost connections and envelopes', async () => {
    await listen(adapter);
    const first = await submit(5, 'alice');
    const { seen, cuts } = watch('mine', 'alice', 7);
    await submit(5, 'bob');
    const others = await Promise.all([submit(12, 'alice'), submit(12, 'alice')]);
    await eventually(
      () => [first, ...others].map(({ id }) => seen.get(id)?.length ?? 0),
      (counts) => counts.every((count, at) => count === (at === 0 ? 8 : 15)),
    );
    for (const seqs of seen.values()) expect(seqs).toEqual(upTo(seqs.length));
    expect([seen.size, cuts() > 2]).toEqual([3, true]);
  });

  it('is over when all tasks that were named are, and answers 204 then, 404 where there are none, and 400 to garbage', async () => {
    await listen(adapter);
    const named = await Promise.all([submit(3, 'alice'), submit(4, 'bob')]);
    const ids = named.map(({ id }) => id).join();
    const { seen, done } = watch(`named?ids=${ids}`, 'any');
    expect(await done).toEqual({ reason: 'ended', status: 204, lastSeq: 0 });
    expect(named.map(({ id }) => seen.get(id))).toEqual([upTo(6), upTo(7)]);
    const ask = (path: string, id?: string): Promise<Response> =>
      fetch(`${url}/${path}`, { headers: { 'x-user': 'alice', ...(id === undefined ? {} : { 'last-event-id': id }) } });
    expect((await ask('named?ids=nobody,nothing')).status).toBe(404);
    for (const path of ['mine', `named?ids=${ids}`]) {
      const refused = await ask(path, 'garbage');
      expect([refused.status, await refused.json()]).toMatchObject([400, { field: 'Last-Event-ID' }]);
    }
    expect((await ask(`named?ids=${ids}&lastEventId=garbage`)).status).toBe(400);
    expect((await ask(`named?ids=${named[0]!.id}`, `${named[0]!.id}:6`)).status).toBe(204);
  });

  it('refuses what is no selection, by the name of the field', async () => {
    await listen(adapter);
    const fieldOf = (selection: object, options?: object): Promise<unknown> =>
      tasks.sseMany(selection, options as never).then(
        () => 'was not refused',
        ({ field }: { field: string }) => field,
      );
    expect(await fieldOf({ refs: [] })).toBe('refs');
    expect(await fieldOf({ refs: Array.from({ length: 101 }, () => 'key') })).toBe('refs');
    expect(await fieldOf({ refs: 'key' })).toBe('refs');
    expect(await fieldOf({ refs: [{}] })).toBe('id');
    expect(await fieldOf({ refs: ['key'], status: 'running' })).toBe('status');
    expect(await fieldOf({ status: 'run' })).toBe('status');
    expect(await fieldOf({ userID: 'alice' })).toBe('userID');
    expect(await fieldOf({ userId: undefined })).toBe('userId');
    expect(await fieldOf({ name: '' })).toBe('name');
    expect(await fieldOf({ tag: 7 })).toBe('tag');
    for (const cursors of [[], 'a:1', { a: -1 }, { a: 1.5 }, { a: '1' }]) expect(await fieldOf({}, { cursors })).toBe('cursors');
    expect(await fieldOf({}, { cursor: {} })).toBe('cursor');
    expect(await fieldOf({}, { signal: new AbortController() })).toBe('signal');
  });
});
