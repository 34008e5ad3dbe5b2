import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Headers, type INestApplication, Module, Param, Sse } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import {
  LastEventId,
  SubscriberLimitError,
  type Task,
  type TaskEvent,
  TaskflowExceptionFilter,
  TaskflowModule,
  TaskSystem,
} from 'nestjs-taskflow';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

const SUBSCRIPTIONS = 100_000;
const SOCKETS = 2_000;
/** Opened at once: fewer than the kernel keeps for a server that has not accepted them yet (511 in Node), or it would answer some itself. */
const WAVE = 400;
const MEGABYTE = 1024 * 1024;

let folder: TestFolder;
beforeEach(async () => (folder = await TestFolder.create()));
afterEach(() => folder.dispose());

function waitingTask(system: TaskSystem): { made: Promise<Task>; finish: () => void } {
  let finish!: () => void;
  const held = new Promise<void>((resolve) => (finish = resolve));
  system.defineTask('wait', { handler: () => held });
  return { made: system.submit('wait', { input: 1, userId: 'mallory' }), finish };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
/** Heap that is really in use. */
async function heapBytes(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

describe('One user against the streams', () => {
  it(`who subscribes ${SUBSCRIPTIONS} times gets as many as the limit, a typed refusal for each other, and nobody else suffers`, async () => {
    const system = await folder.system({ stream: { maxSubscribersPerTask: 1_000, maxSubscribersPerUser: 100 } });
    const { made, finish } = waitingTask(system);
    await system.initialize();
    const task = await made;
    const before = await heapBytes();
    const refused = new Map<string, number>();
    const kept: { unsubscribe(): void }[] = [];
    const events: TaskEvent[] = [];
    let answered = 0;
    for (let at = 0; at < SUBSCRIPTIONS; at++) {
      const subscription = system.subscribe(task, { userId: 'mallory' }).subscribe({
        next: (event) => void events.push(event),
        error: (error: unknown) => {
          const limit = SubscriberLimitError.is(error) ? `${error.getStatus()} ${error.limit}` : String(error);
          refused.set(limit, (refused.get(limit) ?? 0) + 1);
          answered++;
        },
      });
      if (kept.length < 100) kept.push(subscription);
      if (at % 10_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(
      () => answered,
      (count) => count === SUBSCRIPTIONS - 100,
    );
    expect(refused).toEqual(new Map([['429 user', SUBSCRIPTIONS - 100]]));
    expect(system.getStats().streams).toEqual({ active: 1, subscribers: 100 });
    expect((await heapBytes()) - before).toBeLessThan(64 * MEGABYTE);

    const other = await system.submit('wait', { input: 2, userId: 'ann' });
    const first = await system.subscribe(other, { userId: 'ann' })[Symbol.asyncIterator]().next();
    expect(first.value).toMatchObject({ seq: 1, type: 'created' });
    finish();
    await system.result(task);
    await eventually(
      () => system.getStats().streams.subscribers,
      (count) => count <= 1,
    );
    expect(events.filter(({ type }) => type === 'complete')).toHaveLength(100);
    for (const subscription of kept) subscription.unsubscribe();
  });

  it(`who opens ${SOCKETS} sockets gets as many streams as the limit, 429 for each other, and others are served meanwhile`, async () => {
    // Both ends are in this process, beside what jest and the system have open.
    const descriptors = Number(execFileSync('/bin/sh', ['-c', 'ulimit -n']).toString().trim());
    expect(Number.isNaN(descriptors) || descriptors >= 2 * SOCKETS + 500).toBe(true);
    const app = await openApp(folder);
    const sockets: Socket[] = [];
    try {
      const system = app.get(TaskSystem);
      const { made, finish } = waitingTask(system);
      const task = await made;
      const { port } = app.getHttpServer().address() as AddressInfo;
      const before = await heapBytes();
      const answerToOne = async (): Promise<string> => {
        const socket = connect(port, '127.0.0.1');
        sockets.push(socket);
        socket.on('error', () => undefined);
        socket.write(`GET /tasks/${task.id}/events HTTP/1.1\r\nHost: x\r\nX-User: mallory\r\n\r\n`);
        const [head] = (await once(socket, 'data')) as [Buffer];
        return head.toString();
      };
      const answers: string[] = [];
      while (answers.length < SOCKETS) answers.push(...(await Promise.all(Array.from({ length: WAVE }, answerToOne))));
      expect(sockets).toHaveLength(SOCKETS);
      const statuses = new Map<string, number>();
      for (const head of answers) statuses.set(head.slice(9, 12), (statuses.get(head.slice(9, 12)) ?? 0) + 1);
      expect(statuses).toEqual(
        new Map([
          ['200', 100],
          ['429', SOCKETS - 100],
        ]),
      );
      for (const head of answers) if (head.startsWith('HTTP/1.1 429')) expect(head).toMatch(/\r\nRetry-After: 5\r\n/i);
      expect(system.getStats().streams.subscribers).toBe(100);
      expect((await heapBytes()) - before).toBeLessThan(128 * MEGABYTE);
      const ann = await system.submit('wait', { input: 2, userId: 'ann' });
      expect((await fetch(`http://127.0.0.1:${port}/tasks/${ann.id}`, { headers: { 'x-user': 'ann' } })).status).toBe(200);
      const stream = await fetch(`http://127.0.0.1:${port}/tasks/${ann.id}/events`, { headers: { 'x-user': 'ann' } });
      expect(stream.status).toBe(200);
      finish();
      expect(await stream.text()).toContain('event: complete');
      for (const socket of sockets) socket.destroy();
      await eventually(
        () => system.getStats().streams.subscribers,
        (count) => count === 0,
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      await app.close();
    }
  });
});

@Controller('tasks')
class TasksController {
  constructor(private readonly tasks: TaskSystem) {}
  @Get(':id')
  status(@Param('id') taskId: string, @Headers('x-user') userId: string) {
    return this.tasks.getStatus({ taskId }, { userId });
  }
  @Sse(':id/events')
  events(@Param('id') taskId: string, @Headers('x-user') userId: string, @LastEventId() lastSeq?: number) {
    return this.tasks.sse({ taskId }, { userId, lastSeq });
  }
}

async function openApp(at: TestFolder): Promise<INestApplication> {
  @Module({
    imports: [TaskflowModule.forRoot({ ...at.options(), stream: { maxSubscribersPerTask: 1_000 } })],
    controllers: [TasksController],
    providers: [{ provide: APP_FILTER, useClass: TaskflowExceptionFilter }],
  })
  class App {}
  const app = await NestFactory.create(App, { logger: false });
  await app.listen(0, '127.0.0.1');
  return app;
}
