import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type CanActivate, type ExecutionContext, type INestApplication, Injectable, Module, UnauthorizedException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { IsString } from 'class-validator';
import {
  ConfigValidationError,
  NonRetryableError,
  type TaskContext,
  TaskflowModule,
  TaskHandler,
  TasksController,
  type TasksControllerOptions,
} from 'nestjs-taskflow';
import { ApiTasks } from 'nestjs-taskflow/swagger';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

class ReportDto {
  @IsString() title!: string;
}
@TaskHandler('report', { input: ReportDto })
class Report implements TaskHandler<ReportDto, { pages: number }> {
  async handle(input: ReportDto, ctx: TaskContext): Promise<{ pages: number }> {
    await ctx.progress({ page: 1 });
    if (input.title === 'impossible') throw new NonRetryableError('no such report');
    if (input.title === 'endless') await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)));
    return { pages: 1 };
  }
}
@TaskHandler('internal')
class Internal implements TaskHandler {
  async handle(): Promise<void> {}
}

@Injectable()
class Session implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string>; user?: { id: string } }>();
    const id = request.headers['x-user'];
    if (id === undefined) throw new UnauthorizedException();
    if (id !== 'nobody') request.user = { id };
    return true;
  }
}
const OPTIONS: TasksControllerOptions = {
  guards: [Session],
  userId: (request: { user?: { id: string } }) => request.user?.id,
  submit: [Report],
  decorators: [ApiTasks()],
};

let folder: TestFolder;
let app: INestApplication;
let url: string;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await app?.close();
  await folder.dispose();
});

async function open(adapter: 'express' | 'fastify', options: TasksControllerOptions = OPTIONS): Promise<void> {
  @Module({
    imports: [TaskflowModule.forRoot(folder.options())],
    controllers: [TasksController(options)],
    providers: [Report, Internal],
  })
  class AppModule {}
  app = await (adapter === 'express'
    ? NestFactory.create(AppModule, { logger: false })
    : NestFactory.create(AppModule, new FastifyAdapter(), { logger: false }));
  await app.listen(0, '127.0.0.1');
  url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
}

interface Answer {
  readonly status: number;
  readonly body: any;
}
async function call(method: string, path: string, user: string | null = 'alice', body?: unknown, headers: object = {}): Promise<Answer> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(user === null ? {} : { 'x-user': user }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : text };
}
const submit = (title: string, more: object = {}, user = 'alice'): Promise<Answer> =>
  call('POST', '/tasks', user, { name: 'report', input: { title }, ...more });
const ended = (id: string, status: string): Promise<Answer> =>
  eventually(
    () => call('GET', `/tasks/${id}`),
    ({ body }) => body.status === status,
  );

describe.each(['express', 'fastify'] as const)('TasksController on %s', (adapter) => {
  beforeEach(() => open(adapter));

  it('submits, lists, shows, streams, cancels and retries the tasks of whoever asks', async () => {
    const made = await submit('Q3', { idempotencyKey: 'q3' });
    expect(made).toMatchObject({ status: 201, body: { name: 'report', userId: 'alice', status: 'created' } });
    const { id } = made.body;
    expect((await submit('Q3', { idempotencyKey: 'q3' })).body.id).toBe(id);
    expect((await ended(id, 'completed')).body).toMatchObject({ result: { pages: 1 }, progress: { page: 1 } });
    const { status, body } = await call('GET', `/tasks/${id}/events?lastEventId=2`);
    expect([status, body.match(/^(id|event): .*$/gm)]).toEqual([200, ['event: progress', 'id: 3', 'event: complete', 'id: 4']]);
    expect((await call('GET', `/tasks/${id}/events`, 'alice', undefined, { 'last-event-id': '4' })).status).toBe(204);

    const failed = (await submit('impossible')).body.id;
    await ended(failed, 'failed');
    expect((await call('GET', '/tasks/dead-letters')).body.items).toMatchObject([{ id: failed, error: { message: 'no such report' } }]);
    expect(await call('POST', `/tasks/${failed}/retry`)).toMatchObject({ status: 201, body: { life: 2 } });

    const endless = (await submit('endless')).body.id;
    await ended(endless, 'running');
    expect((await call('DELETE', `/tasks/${endless}`)).status).toBe(200);
    await ended(endless, 'cancelled');
    const page = (await call('GET', '/tasks?limit=2&name=report')).body;
    expect(page.items.map((task: { id: string }) => task.id)).toEqual([endless, failed]);
    expect((await call('GET', `/tasks?limit=2&cursor=${page.nextCursor}`)).body.items).toMatchObject([{ id }]);
    expect((await call('GET', '/tasks?status=cancelled')).body.items).toMatchObject([{ id: endless }]);
  });

  it('answers nobody without the guard, and to another user no task of his is there', async () => {
    const { id } = (await submit('impossible')).body;
    await ended(id, 'failed');
    const routes = [
      ['GET', `/tasks/${id}`],
      ['DELETE', `/tasks/${id}`],
      ['POST', `/tasks/${id}/retry`],
      ['GET', `/tasks/${id}/events`],
    ] as const;
    for (const [method, path] of routes) {
      expect([path, (await call(method, path, null)).status]).toEqual([path, 401]);
      expect([path, (await call(method, path, 'mallory')).status]).toEqual([path, 404]);
      // The guard let somebody through without saying who: the application's fault, and no access.
      expect([path, (await call(method, path, 'nobody')).status]).toEqual([path, 500]);
    }
    for (const path of ['/tasks', '/tasks/dead-letters']) {
      expect((await call('GET', path, null)).status).toBe(401);
      expect((await call('GET', path, 'mallory')).body.items).toEqual([]);
      expect((await call('GET', path, 'nobody')).status).toBe(500);
    }
  });

  it('refuses by name what it does not take, and names of tasks that were not opened to clients', async () => {
    const submitted: [unknown, string][] = [
      [{ name: 'internal', input: {} }, 'No handler is defined for task \\"internal\\".'],
      [{ name: 'report', input: { title: 5 } }, 'title'],
      [{ name: 'report' }, 'input: is missing'],
      [{ input: {} }, 'name: must be the name of a task'],
      [[], 'body: must be an object'],
      [{ name: 'report', input: { title: 'x' }, admission: 'trusted' }, 'admission: is none of name, input, idempotencyKey'],
      [{ name: 'report', input: { title: 'x' }, idempotencyKey: 5 }, 'idempotencyKey'],
    ];
    for (const [body, message] of submitted) {
      const answer = await call('POST', '/tasks', 'alice', body);
      expect([answer.status, JSON.stringify(answer.body)]).toEqual([400, expect.stringContaining(message)]);
    }
    for (const query of ['limit=0', 'limit=501', 'limit=a', 'status=done', 'cursor=x', 'user=mallory', 'name=a&name=b', 'userId=mallory'])
      expect([query, (await call('GET', `/tasks?${query}`)).status]).toEqual([query, 400]);
    for (const position of ['-1', '1.5', 'x']) expect((await call('GET', `/tasks/x/events?lastEventId=${position}`)).status).toBe(400);
    expect((await call('GET', '/tasks/x')).status).toBe(404);
  });

  it('is documented with all that it takes and answers, the position of a stream too', async () => {
    const { paths, components } = SwaggerModule.createDocument(app, new DocumentBuilder().build());
    expect(Object.entries(paths).map(([path, methods]) => [path, Object.keys(methods)])).toEqual([
      ['/tasks', ['post', 'get']],
      ['/tasks/dead-letters', ['get']],
      ['/tasks/{id}', ['get', 'delete']],
      ['/tasks/{id}/retry', ['post']],
      ['/tasks/{id}/events', ['get']],
    ]);
    const events = paths['/tasks/{id}/events']!.get!;
    expect(events.parameters).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'Last-Event-ID', in: 'header', required: false }),
        expect.objectContaining({ name: 'lastEventId', in: 'query', required: false }),
      ]),
    );
    expect(Object.keys(events.responses)).toEqual(expect.arrayContaining(['200', '204', '400', '404', '410', '429']));
    expect(events.responses['200']).toMatchObject({
      content: { 'text/event-stream': { schema: { $ref: '#/components/schemas/TaskEventDto' } } },
    });
    expect(Object.keys(components!.schemas!).sort()).toEqual(['PageDto', 'SubmitTaskDto', 'TaskDto', 'TaskErrorDto', 'TaskEventDto']);

    const task = (await submit('impossible')).body;
    const failed = (await ended(task.id, 'failed')).body;
    const documented = Object.keys((components!.schemas!['TaskDto'] as { properties: object }).properties);
    // What only `lib/contracts/task.interface.ts` explains is left out of the documents, and nothing else.
    expect(Object.keys(failed).filter((name) => !documented.includes(name))).toEqual(['life', 'postponements']);
    const required = (components!.schemas!['TaskDto'] as { required: string[] }).required;
    expect(required.filter((name) => !(name in failed))).toEqual([]);
  });
});

describe('TasksController', () => {
  it('has only the routes that were chosen, and none to submit where no handler is opened', async () => {
    await open('express', { ...OPTIONS, path: 'jobs', submit: [], routes: ['get', 'submit'] });
    expect((await call('GET', '/jobs/x')).body.message).toBe('No such task.');
    for (const [method, path] of [
      ['POST', '/jobs'],
      ['GET', '/jobs'],
      ['DELETE', '/jobs/x'],
      ['GET', '/jobs/x/events'],
    ] as const)
      // prettier-ignore
      expect((await call(method, path, 'alice', method === 'POST' ? {} : undefined)).body.message).toContain('Cannot');
  });

  it('is refused without guard or owner, and with what is no handler or route, all of it in one error', () => {
    const wrong = {
      guards: [],
      userId: undefined,
      submit: [class Nothing {}, ''],
      routes: ['get', 'delete'],
    } as unknown as TasksControllerOptions;
    let error: unknown;
    try {
      TasksController(wrong);
    } catch (thrown) {
      error = thrown;
    }
    expect(ConfigValidationError.is(error) && error.issues.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      expect.stringMatching(/^TasksController.guards: must be a list with at least one guard/),
      expect.stringMatching(/^TasksController.userId: must be a function/),
      'TasksController.submit: Nothing is neither a task name nor a class with @TaskHandler',
      "TasksController.submit: '' is neither a task name nor a class with @TaskHandler",
      expect.stringMatching(/^TasksController.routes: 'delete' is none of submit, list/),
    ]);
  });
});
