import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { TaskflowModule, TaskSystem } from 'nestjs-taskflow';
import { TaskflowHealthIndicator } from 'nestjs-taskflow/health';
import { TestFolder } from '../support/process/task-system.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly taskflow: TaskflowHealthIndicator,
  ) {}

  @Get('live')
  @HealthCheck()
  live() {
    return this.health.check([() => this.taskflow.liveness()]);
  }

  @Get('ready')
  @HealthCheck()
  ready() {
    return this.health.check([() => this.taskflow.readiness('tasks')]);
  }
}

let folder: TestFolder;
let app: INestApplication;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(async () => {
  await app.close();
  await folder.dispose();
});

describe.each(['express', 'fastify'] as const)('TaskflowHealthIndicator in Terminus, on %s', (adapter) => {
  it('answers 200 while the system works, and 503 with the state once it was stopped', async () => {
    @Module({
      imports: [TaskflowModule.forRoot(folder.options()), TerminusModule],
      controllers: [HealthController],
      providers: [TaskflowHealthIndicator],
    })
    class AppModule {}
    app = await (adapter === 'express'
      ? NestFactory.create(AppModule, { logger: false })
      : NestFactory.create(AppModule, new FastifyAdapter(), { logger: false }));
    await app.listen(0, '127.0.0.1');
    const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/health`;
    const probe = async (path: string): Promise<[number, any]> => {
      const answer = await fetch(`${url}/${path}`);
      return [answer.status, await answer.json()];
    };

    expect(await probe('live')).toEqual([
      200,
      expect.objectContaining({ status: 'ok', info: { taskflow: { status: 'up', taskflow: 'running', degraded: [] } } }),
    ]);
    expect(await probe('ready')).toEqual([200, expect.objectContaining({ info: { tasks: expect.objectContaining({ status: 'up' }) } })]);

    await app.get(TaskSystem).shutdown();
    for (const path of ['live', 'ready']) {
      const [status, body] = await probe(path);
      expect([status, body.status]).toEqual([503, 'error']);
      expect(Object.values(body.error)).toEqual([{ status: 'down', taskflow: 'stopped', degraded: [] }]);
    }
  });
});
