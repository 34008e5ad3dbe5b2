import 'reflect-metadata';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CallHandler,
  type CanActivate,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Headers,
  type INestApplication,
  Injectable,
  type MessageEvent,
  Module,
  type NestInterceptor,
  type PipeTransform,
  BadRequestException,
  Query,
  RequestTimeoutException,
  UnauthorizedException,
  UseGuards,
  ValidationPipe,
} from '@nestjs/common';
import { APP_FILTER, NestFactory, Reflector } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { TaskEvents, TaskflowExceptionFilter, TaskflowModule, type TaskflowOptionsInput, TaskSse, TaskSystem } from 'nestjs-taskflow';
import { interval, map, merge, mergeMap, type Observable, of, throwError, timeout, timer } from 'rxjs';
import { eventually } from '../support/clock/patience.js';
import { silent, TestFolder } from '../support/process/task-system.js';

interface RequestLike {
  readonly params: { readonly key: string };
  readonly headers: Readonly<Record<string, string | undefined>>;
}
const requestOf = (context: ExecutionContext): RequestLike => context.switchToHttp().getRequest<RequestLike>();

/** Requests that each guard of the routes saw, and those that asked for a stream. */
const asked: string[] = [];
/** What a guard, a pipe or a selection waits for. */
let gate: Promise<unknown> = Promise.resolve();

@Injectable()
class ClassGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    asked.push('class');
    return requestOf(context).headers['x-class'] !== 'no';
  }
}
@Injectable()
class MethodGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    asked.push('method');
    await gate;
    return requestOf(context).headers['x-method'] !== 'no';
  }
}
@Injectable()
class SlowPipe implements PipeTransform {
  async transform(value: unknown): Promise<unknown> {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (value === 'nonsense') throw new BadRequestException('trace');
    return value;
  }
}

async function select(context: ExecutionContext): Promise<{ ref: string; userId: string }> {
  asked.push('select');
  await Promise.resolve();
  const { params, headers } = requestOf(context);
  if (headers['x-select'] === 'no') throw new ForbiddenException();
  return { ref: params.key, userId: headers['x-user'] as string };
}

@Controller('t')
@UseGuards(ClassGuard)
class StreamController {
  @UseGuards(MethodGuard)
  @TaskSse(':key/events', select)
  above(@TaskEvents() events: Observable<MessageEvent>, @Query('trace', SlowPipe) _trace?: string): Observable<MessageEvent> {
    return events;
  }
  @TaskSse([':key/below', ':key/beneath'], select)
  @UseGuards(MethodGuard)
  below(@TaskEvents() events: Observable<MessageEvent>, @Headers('x-user') _user: string): Observable<MessageEvent> {
    return events;
  }
}

/** What surrounds every route of an application. */
type Around = (stream: Observable<any>, context: ExecutionContext) => Observable<unknown>;
const interceptor = (around: Around): NestInterceptor => ({
  intercept: (context: ExecutionContext, next: CallHandler) => around(next.handle(), context),
});

// By a name that is no literal: whoever has not installed it yet can still check the types of everything else.
const FASTIFY: string = '@nestjs/platform-fastify';
const { FastifyAdapter } = (await import(FASTIFY)) as { FastifyAdapter: new () => ExpressAdapter };
const ADAPTERS = { Express: () => new ExpressAdapter(), Fastify: () => new FastifyAdapter() };
let folder: TestFolder;
let app: INestApplication;
let tasks: TaskSystem;
let release: () => void;
let held: Promise<void>;
let log: string[];

beforeEach(async () => {
  folder = await TestFolder.create();
  held = new Promise((resolve) => (release = resolve));
  asked.length = 0;
  gate = Promise.resolve();
  log = [];
});
afterEach(async () => {
  release();
  app.getHttpServer().closeAllConnections();
  await app.close();
  await folder.dispose();
});

async function listen(
  adapter: keyof typeof ADAPTERS,
  arounds: readonly (Around | NestInterceptor)[],
  more: TaskflowOptionsInput = {},
): Promise<void> {
  const logger = { ...silent, error: (line: string) => log.push(line) };
  @Module({
    imports: [TaskflowModule.forRoot(folder.options({ ...more, hooks: { logger } }))],
    controllers: [StreamController],
    providers: [{ provide: APP_FILTER, useClass: TaskflowExceptionFilter }],
  })
  class AppModule {}
  app = await NestFactory.create(AppModule, ADAPTERS[adapter](), { logger: false });
  app.useGlobalGuards({
    canActivate: (context: ExecutionContext) => {
      if (requestOf(context).headers['x-token'] === 'no') throw new UnauthorizedException();
      return true;
    },
  });
  app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true, validateCustomDecorators: true }));
  app.useGlobalInterceptors(...arounds.map((around) => (typeof around === 'function' ? interceptor(around) : around)));
  tasks = app.get(TaskSystem);
  tasks.defineTask<{ hold?: boolean }>('work', {
    handler: async (input, ctx) => {
      for (let i = 0; i < 3; i++) await ctx.progress({ i });
      if (input.hold === true) await held;
      return 'ok';
    },
  });
  await app.listen(0, '127.0.0.1');
}

const urlOf = (path: string): string => `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/t/${path}`;
const get = (path: string, headers: Record<string, string> = {}, init: RequestInit = {}): Promise<Response> =>
  fetch(urlOf(path), { ...init, headers: { 'x-user': 'alice', ...headers } });
const submit = async (input: { hold?: boolean } = {}): Promise<string> => {
  const { idempotencyKey: key } = await tasks.submit('work', { input, userId: 'alice' });
  if (input.hold !== true) await tasks.result(key);
  // created, start and three progress events
  else
    await eventually(
      () => tasks.getStatus(key),
      (task) => task?.lastSeq === 5,
    );
  return key;
};
const idsOf = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
const ALL = [1, 2, 3, 4, 5, 6];
const nobodyIsLeft = (): Promise<number> =>
  eventually(
    () => tasks.getStats().streams.subscribers,
    (count) => count === 0,
  );
/** Reads until the text holds that, or the response ends. */
async function readUntil(response: Response, wanted: string): Promise<{ text: string; leave: () => Promise<void> }> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes(wanted)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  return { text, leave: () => reader.cancel() };
}

const onlooker: Around = (stream) => stream.pipe(map((value: unknown) => value));
const slow: Around = (stream) => timer(30).pipe(mergeMap(() => stream));

describe.each(Object.keys(ADAPTERS) as (keyof typeof ADAPTERS)[])('@TaskSse on %s', (adapter) => {
  it('keeps the status of every refusal, whatever interceptors, pipes and guards surround the route', async () => {
    await listen(adapter, [onlooker, slow], { stream: { maxSubscribersPerTask: 1 } });
    app.useGlobalInterceptors(new ClassSerializerInterceptor(app.get(Reflector)));
    const key = await submit();
    for (const route of ['events', 'below', 'beneath']) {
      const response = await get(`${key}/${route}`);
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
      expect(idsOf(await response.text())).toEqual(ALL);
      expect((await get(`nope/${route}`)).status).toBe(404);
      expect((await get(`${key}/${route}`, { 'x-user': 'mallory' })).status).toBe(404);
      expect((await get(`${key}/${route}`, { 'last-event-id': 'x' })).status).toBe(400);
      expect((await get(`${key}/${route}`, { 'x-select': 'no' })).status).toBe(403);
      const ended = await get(`${key}/${route}?lastEventId=6`);
      expect([ended.status, await ended.text()]).toEqual([204, '']);
    }
    const open = await submit({ hold: true });
    const first = await readUntil(await get(`${open}/events`), 'id: 5\n');
    const second = await get(`${open}/below`);
    expect([second.status, Number(second.headers.get('retry-after')) > 0]).toEqual([429, true]);
    await first.leave();
    await nobodyIsLeft();
  });

  it('asks for no stream before every guard of the route has let the request through, in whichever order they are written', async () => {
    await listen(adapter, [onlooker]);
    const key = await submit();
    for (const route of ['events', 'below']) {
      for (const [header, status, seen] of [
        ['x-token', 401, []],
        ['x-class', 403, ['class']],
        ['x-method', 403, ['class', 'method']],
      ] as const) {
        asked.length = 0;
        const response = await get(`${key}/${route}`, { [header]: 'no' });
        expect([route, header, response.status, asked]).toEqual([route, header, status, seen]);
      }
      asked.length = 0;
      await (await get(`${key}/${route}`)).text();
      expect(asked).toEqual(['class', 'method', 'select']);
    }
  });

  it('answers the refusal of a pipe that takes its time, and gives the place back', async () => {
    await listen(adapter, [onlooker]);
    const key = await submit({ hold: true });
    const response = await get(`${key}/events?trace=nonsense`);
    expect([response.status, response.headers.get('content-type')]).toEqual([400, expect.stringContaining('application/json')]);
    await response.text();
    await nobodyIsLeft();
  });

  it('answers 500 with a generic body where the guard is missing that sets the user, and says so in the log', async () => {
    await listen(adapter, [onlooker]);
    const key = await submit();
    const response = await fetch(urlOf(`${key}/events`));
    expect([response.status, await response.json()]).toEqual([500, { statusCode: 500, message: 'Internal Server Error' }]);
    expect(log).toEqual([expect.stringContaining('userId: is present but undefined')]);
  });

  it.each<[string, Around[]]>([
    ['{ data, statusCode }', [(stream) => stream.pipe(map((data: unknown) => ({ data, statusCode: 200 })))]],
    [
      '{ success, result } in { data }',
      [(s) => s.pipe(map((data: unknown) => ({ data }))), (s) => s.pipe(map((result: unknown) => ({ success: true, result })))],
    ],
    ['text', [(stream) => stream.pipe(map((value: unknown) => JSON.stringify(value)))]],
  ])('undoes the envelope %s, so that every event keeps its id, name and data', async (_name, arounds) => {
    await listen(adapter, arounds, { stream: { keepAliveMs: 50 } });
    const key = await submit({ hold: true });
    const { text, leave } = await readUntil(await get(`${key}/events`), ': keep-alive');
    await leave();
    expect(idsOf(text)).toEqual([1, 2, 3, 4, 5]);
    expect(text).toMatch(/^event: progress\nid: 3\ndata: \{"seq":3,"type":"progress",/m);
    expect(text).not.toMatch(/statusCode|success|comment/);
    expect(log).toEqual([]);
  });

  it('asks clients back where they stood when an interceptor lets the stream time out, once in the log, and shows nothing twice', async () => {
    const impatient: Around = (stream) => stream.pipe(timeout({ each: 100, with: () => throwError(() => new RequestTimeoutException()) }));
    await listen(adapter, [impatient]);
    const key = await submit({ hold: true });
    const text = await (await get(`${key}/events`)).text();
    expect(idsOf(text)).toEqual([1, 2, 3, 4, 5, 5]);
    expect(text).toMatch(/id: 5\nretry: \d+\n\n$/);
    expect(text).not.toContain('event: error');
    const again = await (await get(`${key}/events`, { 'last-event-id': '5' })).text();
    expect(idsOf(again)).toEqual([5]);
    expect(log).toEqual([expect.stringMatching(/StreamController\.above was ended, since it ended in an error: Request Timeout/)]);
    await nobodyIsLeft();
    release();
    await tasks.result(key);
    expect(idsOf(await (await get(`${key}/events`, { 'last-event-id': '5' })).text())).toEqual([6]);
  });

  it('ends the stream rather than invent ids, when an interceptor loses them or answers from a cache', async () => {
    const key = 'the-key';
    const cached: Around = () => of({ id: '6', type: 'complete', data: '{}' });
    const losing: Around = (stream) => stream.pipe(map(() => ({ data: 'lost' })));
    let around: Around = losing;
    await listen(adapter, [(stream, context) => around(stream, context)]);
    await tasks.result(await tasks.submit('work', { input: {}, userId: 'alice', idempotencyKey: key }));
    for (const [each, why] of [
      [losing, 'without the id of its event'],
      [cached, 'from a cache'],
    ] as const) {
      around = each;
      const text = await (await get(`${key}/events`, { 'last-event-id': '2' })).text();
      expect(text.trim()).toMatch(/^id: 2\nretry: \d+$/);
      expect(log.at(-1)).toContain(why);
    }
    await nobodyIsLeft();
  });

  it('ends the stream of a task that still runs when an interceptor loses its ids, and the process goes on', async () => {
    await listen(adapter, [(stream) => stream.pipe(map(({ data }: MessageEvent) => ({ data })))]);
    const key = await submit({ hold: true });
    for (let time = 0; time < 2; time++) {
      const text = await (await get(`${key}/events`, { 'last-event-id': '2' })).text();
      expect(text.trim()).toMatch(/^id: 2\nretry: \d+$/);
    }
    expect(log.filter((line) => line.includes('without the id of its event'))).toHaveLength(1);
    await nobodyIsLeft();
  });

  it('lets an interceptor add messages of its own: the client stays where it is', async () => {
    const pinging: Around = (stream) => merge(stream, interval(20).pipe(map(() => ({ type: 'ping', data: 'x' }))));
    await listen(adapter, [pinging]);
    const key = await submit({ hold: true });
    const { text, leave } = await readUntil(await get(`${key}/events`), 'event: ping\nid: 5\n');
    await leave();
    expect(idsOf(text.replaceAll(/event: ping\nid: \d+\n/g, ''))).toEqual([1, 2, 3, 4, 5]);
    expect(log).toEqual([]);
    await nobodyIsLeft();
  });

  it('gives back the place of whoever leaves while a guard runs, of HEAD, and of a stream that nobody takes', async () => {
    let around: Around = onlooker;
    await listen(adapter, [(stream, context) => around(stream, context)]);
    const key = await submit({ hold: true });
    let open!: () => void;
    gate = new Promise<void>((resolve) => (open = resolve));
    const leavers = Array.from({ length: 10 }, () => {
      const call = request(urlOf(`${key}/events`), { headers: { 'x-user': 'alice' }, agent: false }).on('error', () => undefined);
      call.end();
      return call;
    });
    await eventually(
      () => asked.filter((who) => who === 'method').length,
      (count) => count === 10,
    );
    for (const call of leavers) call.destroy();
    await eventually(
      () =>
        new Promise<number>((resolve, reject) =>
          app.getHttpServer().getConnections((error: Error | null, count: number) => (error ? reject(error) : resolve(count))),
        ),
      (count) => count === 0,
    );
    open();
    await eventually(
      () => asked.filter((who) => who === 'select').length,
      (count) => count === 10,
    );
    await nobodyIsLeft();

    expect((await get(`${key}/events`, {}, { method: 'HEAD' })).status).toBe(200);
    await nobodyIsLeft();
    around = () => of();
    await (await get(`${key}/events`)).text();
    await nobodyIsLeft();
    expect((await get(`${key}/events`, { 'last-event-id': '9' })).status).toBe(400);
  });
});
