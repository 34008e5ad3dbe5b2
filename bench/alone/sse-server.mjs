import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { TaskEvents, TaskflowModule, TaskSse, TaskSystem } from '../../dist/index.js';
import { newFolder, removeFolder } from '../core/settings.mjs';
import { optionsIn } from '../systems/taskflow.mjs';

const ADAPTERS = { express: () => undefined, fastify: () => new FastifyAdapter() };

/**
 * A Nest application with a `@TaskSse` route. Decorators are applied by hand: this is plain JavaScript. `events` are reported by one task
 * when `start` is called; before that it has `stored` events.
 */
export async function run({ events, adapter = 'express', stored = 0, padding = 0 }) {
  const folder = await newFolder();
  let begin;
  const begun = new Promise((resolve) => (begin = resolve));
  const text = 'x'.repeat(padding);
  let tell;
  const isStored = new Promise((resolve) => (tell = resolve));
  const emit = (ctx, count) => {
    const writes = [];
    for (let number = 1; number <= count; number++)
      writes.push(ctx.progress(padding === 0 ? { done: number, of: count } : { done: number, text }));
    return Promise.all(writes);
  };
  async function report(_input, ctx) {
    for (let done = 0; done < stored; done += 500) await emit(ctx, Math.min(500, stored - done));
    tell();
    await begun;
    for (let done = 0; done < events; done += 500) await emit(ctx, Math.min(500, events - done));
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
  }

  class EventsController {
    events(stream) {
      return stream;
    }
  }
  let task;
  const method = [EventsController.prototype, 'events', Object.getOwnPropertyDescriptor(EventsController.prototype, 'events')];
  TaskEvents()(EventsController.prototype, 'events', 0);
  TaskSse('events', () => ({ ref: task }))(...method);
  Controller()(EventsController);
  class AppModule {}
  Module({
    imports: [TaskflowModule.forRoot(optionsIn(folder, { shutdown: { timeoutMs: 100, forceKillTimeoutMs: 100 } }))],
    controllers: [EventsController],
  })(AppModule);

  const app = await NestFactory.create(AppModule, ADAPTERS[adapter](), { logger: ['error', 'warn'] });
  const system = app.get(TaskSystem);
  system.defineTask('report', { handler: report, timeoutMs: 3_600_000 });
  await app.listen(0, '127.0.0.1');
  task = await system.submit('report', { input: null });
  await isStored;
  const { port } = app.getHttpServer().address();
  const calls = {
    start: async () => {
      const startedAt = Date.now();
      begin();
      return { startedAt };
    },
    memory: async () => {
      for (let i = 0; i < 5; i++) {
        globalThis.gc?.();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const { rss, heapUsed, external } = process.memoryUsage();
      return {
        rss,
        heap: heapUsed + external,
        subscribers: system.getStats().streams.subscribers,
        lastSeq: (await system.getStatus(task)).lastSeq,
      };
    },
    close: async () => {
      const startedAt = performance.now();
      await app.close();
      const closeMs = performance.now() - startedAt;
      await removeFolder(folder);
      return { closeMs };
    },
  };
  return { calls, ready: { port } };
}
