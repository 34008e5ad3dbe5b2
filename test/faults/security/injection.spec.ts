import { mkdir, readdir, readFile } from 'node:fs/promises';
import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, type INestApplication, Module, Param, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IsInt } from 'class-validator';
import {
  ConfigValidationError,
  createTaskSystem,
  type Task,
  type TaskContext,
  TaskflowModule,
  type TaskflowOptionsInput,
  TaskSystem,
} from 'nestjs-taskflow';
import { MemoryTaskRepository } from '../../support/doubles/memory-task-repository.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

/** Each would end a line, a field or an event of a stream, or be taken for one. */
const BREAKS = ['\n', '\r', '\r\n', '\n\n', '\u0000', '\u2028', '\u2029', '\u0085', '\u000b'];
const FORGED = BREAKS.map((text) => `x${text}event: complete${text}id: 99${text}data: {"forged":true}${text}retry: 1${text}${text}:y`);
const PAYLOAD = Object.fromEntries(
  FORGED.flatMap((text, at) => [
    [`p${at}`, text],
    [text, at],
  ]),
);

let folder: TestFolder;
let app: INestApplication | undefined;
beforeEach(async () => (folder = await TestFolder.create()));
afterEach(async () => {
  await app?.close();
  app = undefined;
  await folder.dispose();
});

@Controller('tasks')
class TasksController {
  constructor(private readonly tasks: TaskSystem) {}
  @Sse(':id/events')
  events(@Param('id') taskId: string) {
    return this.tasks.sse({ taskId });
  }
}

async function serve(define: (system: TaskSystem) => void, options: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  @Module({ imports: [TaskflowModule.forRoot(folder.options(options))], controllers: [TasksController] })
  class App {}
  app = await NestFactory.create(App, { logger: false });
  define(app.get(TaskSystem));
  await app.listen(0, '127.0.0.1');
  return app.get(TaskSystem);
}

/** The stream as it comes down the wire, bytes as they are. */
function wireOf(id: string): Promise<{ status: number; text: string }> {
  const { port } = app!.getHttpServer().address() as AddressInfo;
  return new Promise((resolve, reject) => {
    get(`http://127.0.0.1:${port}/tasks/${id}/events`, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    }).on('error', reject);
  });
}

const refusalOf = (call: () => Promise<unknown>): Promise<string> =>
  Promise.resolve()
    .then(call)
    .then(
      () => 'taken',
      (error: Error) => error.name,
    );

/** By the letter of WHATWG HTML 9.2.6: any of three line ends, a blank line ends an event. */
function parse(text: string): { fields: [string, string][] }[] {
  return text
    .split(/\r\n\r\n|\n\n|\r\r/)
    .map((block) => ({
      fields: block
        .split(/\r\n|\n|\r/)
        .filter((line) => line !== '' && !line.startsWith(':'))
        .map((line): [string, string] => [line.split(':', 1)[0]!, line.slice(line.indexOf(':') + 2)]),
    }))
    .filter(({ fields }) => fields.length > 0);
}

describe('A stream', () => {
  it('has no field that a payload, a name, an error, a reason or a key could add', async () => {
    const system = await serve((tasks) => {
      tasks.defineTask('emit', {
        retry: { maxAttempts: 1 },
        handler: async (input: { fail: boolean }, ctx: TaskContext) => {
          await ctx.progress(PAYLOAD);
          for (const name of ['id: 5', 'data', ':comment', 'retry', ' ']) await ctx.emit(name, FORGED);
          if (input.fail) throw Object.assign(new Error(FORGED.join('')), { name: FORGED[3], code: FORGED[4] });
          return PAYLOAD;
        },
      });
      tasks.defineTask('wait', { handler: () => new Promise(() => undefined) });
      tasks.defineTask('misname', { retry: { maxAttempts: 1 }, handler: (text: string, ctx: TaskContext) => ctx.emit(`a${text}b`, 1) });
    });
    for (const text of BREAKS) {
      const refused = await system.submit('misname', { input: text });
      await expect(system.result(refused)).rejects.toMatchObject({ task: { error: { name: 'ValidationError' } } });
      expect(parse((await wireOf(refused.id)).text).map(({ fields }) => fields[0]![1])).toEqual(['created', 'start', 'failed']);
    }
    const done = await system.submit('emit', { input: { fail: false }, tags: [' id: 7'] });
    const failed = await system.submit('emit', { input: { fail: true }, idempotencyKey: 'id: 99', userId: 'data: x' });
    const cancelled = await system.submit('wait', { input: 1, delayMs: 1e7 });
    await expect(system.cancel(cancelled, { reason: FORGED.join('') })).rejects.toMatchObject({ name: 'ValidationError', field: 'reason' });
    await system.cancel(cancelled, { reason: FORGED.join('').replaceAll(/[^\P{Cc}\t\n\r]/gu, '') });
    for (const [task, last, events] of [
      [done, 'complete', 9],
      [failed, 'failed', 9],
      [cancelled, 'cancelled', 2],
    ] as const) {
      const { status, text } = await wireOf(task.id);
      expect(status).toBe(200);
      const messages = parse(text);
      expect(messages.map(({ fields }) => fields.map(([name]) => name))).toEqual(Array(events).fill(['event', 'id', 'data']));
      expect(messages.map(({ fields }) => fields[1]![1])).toEqual(Array.from({ length: events }, (_, at) => String(at + 1)));
      expect(messages.at(-1)!.fields[0]![1]).toBe(last);
      for (const { fields } of messages) expect(JSON.parse(fields[2]![1])).not.toHaveProperty('forged');
      // U+0085 ends no line of an event stream: like U+2028 it is a character among others.
      expect(text).not.toMatch(/(?![\n\u0085])\p{Cc}/u);
    }
    const progress = parse((await wireOf(done.id)).text).find(({ fields }) => fields[0]![1] === 'progress');
    expect(JSON.parse(progress!.fields[2]![1]).payload).toEqual(PAYLOAD);
  });

  it('shows nothing of a row of a custom repository whose type is a field of its own', async () => {
    const repository = new MemoryTaskRepository();
    const system = await serve((tasks) => tasks.defineTask('one', { handler: async () => 1 }), {
      repository: { type: 'custom', repository },
      stream: { streamRetentionMs: 1 },
    });
    const task = await system.submit('one', { input: 1 });
    await system.result(task);
    await eventually(
      () => system.getStats().eventLog.overlayBytes,
      (bytes) => bytes === 0,
    );
    const events = repository.events.get(task.id)!;
    for (const [type, seq] of [
      [`complete\nid: 99\ndata: {"forged":true}\n\nevent: x`, 2],
      ['start', '2\ndata: {"forged":true}'],
    ]) {
      repository.events.set(task.id, [events[0]!, { ...events[1]!, type, seq } as never, events[2]!]);
      const { status, text } = await wireOf(task.id);
      expect([seq, status, text.includes('forged')]).toEqual([seq, seq === 2 ? 503 : 200, false]);
    }
    repository.events.set(task.id, events);
    expect(parse((await wireOf(task.id)).text)).toHaveLength(3);
  });
});

describe('Keys that reach for a prototype', () => {
  const POLLUTING = '{"constructor":{"prototype":{"polluted":1}},"prototype":{"polluted":1},"a":[{"constructor":1,"toString":"x"}]}';
  const REFUSED = ['{"__proto__":{"polluted":1}}', '{"a":[{"b":{"__proto__":1}}]}', '[{"__proto__":null}]'].map(
    (text) => JSON.parse(text) as unknown,
  );
  const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'];
  const isClean = (): boolean => (({}) as Record<string, unknown>)['polluted'] === undefined && !('polluted' in Object.prototype);
  class Dto {
    @IsInt() readonly n!: number;
  }

  it('stay data, in input, payload and result, in memory and in rows', async () => {
    let seen: unknown;
    const define = (system: TaskSystem): void => {
      system.defineTask('echo', {
        handler: async (input: unknown, ctx: TaskContext) => {
          seen = input;
          await ctx.progress(input);
          return input;
        },
      });
      system.defineTask('dto', {
        input: Dto,
        handler: async (input: Dto) => [(input as unknown as { polluted?: number }).polluted ?? null, input instanceof Dto],
      });
      system.defineTask('derived', { idempotency: 'input', handler: async () => 1 });
    };
    const system = await folder.system();
    define(system);
    await system.initialize();
    const task = await system.submit('echo', { input: JSON.parse(POLLUTING) });
    const texts = [JSON.stringify(await system.result(task)), JSON.stringify(seen)];
    expect(texts).toEqual([POLLUTING, POLLUTING]);
    expect(
      await system.result(await system.submit('dto', { input: JSON.parse('{"n":1,"constructor":{"prototype":{"polluted":1}}}') })),
    ).toEqual([null, true]);
    for (const name of ['echo', 'dto', 'derived'])
      for (const input of REFUSED) expect(await refusalOf(() => system.submit(name, { input }))).toBe('ValidationError');
    for (const value of REFUSED) {
      system.defineTask(`gives ${JSON.stringify(value)}`, {
        retry: { maxAttempts: 1 },
        handler: async (_: unknown, ctx: TaskContext) => {
          expect(await refusalOf(() => ctx.progress(value))).toBe('ValidationError');
          return value;
        },
      });
      await expect(system.result(await system.submit(`gives ${JSON.stringify(value)}`, { input: 1 }))).rejects.toMatchObject({
        task: { error: { name: 'ValidationError' } },
      });
    }
    await eventually(
      () => system.getStats().eventLog.overlayBytes,
      (bytes) => bytes === 0,
    );
    expect(JSON.stringify((await system.getStatus(task))!.input)).toBe(POLLUTING);
    for await (const event of system.subscribe(task)) if (event.type === 'progress') expect(JSON.stringify(event.payload)).toBe(POLLUTING);
    expect(isClean()).toBe(true);
  });

  it('are names, keys, users and tags like any other', async () => {
    const system = await folder.system();
    for (const name of NAMES) system.defineTask(name, { handler: async () => name });
    await system.initialize();
    const made: Task[] = [];
    for (const name of NAMES) {
      await expect(system.getStatus(name, { userId: name })).resolves.toBeNull();
      const task = await system.submit(name, { input: 1, userId: name, idempotencyKey: name, tags: [name] });
      expect(await system.result(task)).toBe(name);
      expect((await system.getStatus(name, { userId: name }))!.id).toBe(task.id);
      made.push(task);
    }
    for (const [at, name] of NAMES.entries())
      expect((await system.list({ userId: name, name, tag: name })).items.map(({ id }) => id)).toEqual([made[at]!.id]);
    await expect(system.submit('valueOf', { input: 1 })).rejects.toMatchObject({ name: 'HandlerNotFoundError' });
    expect(isClean()).toBe(true);
  });

  it('are refused in options and parameters', async () => {
    const system = await folder.system();
    system.defineTask('one', { handler: async () => 1 });
    await system.initialize();
    for (const text of ['{"input":1,"__proto__":{"userId":"eve"}}', '{"input":1,"constructor":{}}', '{"input":1,"prototype":{}}'])
      await expect(system.submit('one', JSON.parse(text))).rejects.toMatchObject({ name: 'ValidationError' });
    for (const text of [
      '{"__proto__":{"executor":{"enabled":false}}}',
      '{"executor":{"__proto__":{"enabled":false}}}',
      '{"repository":{"type":"postgres","__proto__":{}}}',
    ])
      await expect(createTaskSystem(JSON.parse(text))).rejects.toBeInstanceOf(ConfigValidationError);
    expect(isClean()).toBe(true);
  });
});

describe('Paths and lines', () => {
  it('are made of numbers alone: no name, key, user or tag puts a file anywhere, or a line into the log', async () => {
    const inner = folder.file('a/b');
    await mkdir(inner, { recursive: true });
    const system = await folder.system({
      eventLog: { eventLogPath: join(inner, 'events.log'), maxSizeBytesPerFile: 2048, retentionCount: 1000 },
      repository: { type: 'sqlite', database: join(inner, 'tasks.db') },
    });
    const climbing = [
      '../../climbed',
      '/etc/taskflow',
      '..\\..\\climbed',
      'C:\\climbed',
      '%2e%2e%2fclimbed',
      'a/../../climbed',
      '#B 1 1 1 1 0 0',
      '#H {}',
    ];
    for (const name of climbing)
      system.defineTask(name, {
        retry: { maxAttempts: 1 },
        handler: async (input: unknown, ctx: TaskContext) => {
          await ctx.emit(name, input);
          throw Object.assign(new Error(`${name}\n#S 1 1 00000000 00000000\n{"s":1}`), { code: `E\n${name}` });
        },
      });
    await system.initialize();
    for (const name of climbing) {
      const task = await system.submit(name, { input: { name: `${name}\n${name}` }, userId: name, idempotencyKey: name, tags: [name] });
      await expect(system.result(task)).rejects.toMatchObject({ name: 'TaskFailedError' });
    }
    const { durableSeq } = system.getStats().eventLog;
    await system.shutdown();
    expect(await readdir(folder.path)).toEqual(['a']);
    expect(await readdir(folder.file('a'))).toEqual(['b']);
    const files = (await readdir(inner)).sort();
    expect(files.filter((name) => !/^(events-\d{16}\.log|tasks\.db(-wal|-shm)?)$/.test(name))).toEqual([]);
    let entries = 0;
    for (const name of files.filter((file) => file.endsWith('.log'))) {
      for (const line of (await readFile(join(inner, name), 'utf8')).trimEnd().split('\n')) {
        if (/^#H \{|^#B \d+ \d+ \d+ \d+ [0-9a-f]{8} [0-9a-f]{8}$|^#S \d+ \d+ [0-9a-f]{8} [0-9a-f]{8}$/.test(line)) continue;
        expect(JSON.parse(line).s).toBe(++entries);
      }
    }
    expect(entries).toBe(durableSeq);
  });
});
