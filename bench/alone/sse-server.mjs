import 'reflect-metadata';
import { Controller, Module, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { openSystem } from '../systems/taskflow.mjs';

/** A Nest application with one `@Sse` route over `system.sse`. Decorators are applied by hand: this is plain JavaScript. */
export async function run({ events }) {
  let begin;
  const begun = new Promise((resolve) => (begin = resolve));
  async function report(_input, ctx) {
    await begun;
    const writes = [];
    for (let number = 1; number <= events; number++) writes.push(ctx.progress({ done: number, of: events }));
    await Promise.all(writes);
  }
  const { system } = await openSystem({ report });
  const task = await system.submit('report', { input: null });

  class EventsController {
    events() {
      return system.sse(task);
    }
  }
  Sse('events')(EventsController.prototype, 'events', Object.getOwnPropertyDescriptor(EventsController.prototype, 'events'));
  Controller()(EventsController);
  class AppModule {}
  Module({ controllers: [EventsController] })(AppModule);

  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address();
  const start = async () => {
    const startedAt = Date.now();
    begin();
    return { startedAt };
  };
  return { calls: { start }, ready: { port } };
}
