import type { INestApplicationContext } from '@nestjs/common';
import { DiscoveryModule, NestFactory } from '@nestjs/core';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import { ENGINE, TASKFLOW_OPTIONS_INPUT } from '../../../lib/config/taskflow.tokens.js';
import type { Engine } from '../../../lib/contracts/engine.interface.js';
import type { TaskDefinition } from '../../../lib/contracts/task-handler.interface.js';
import { TaskSystem } from '../../../lib/task-system.js';
import { taskflowProviders } from '../../../lib/taskflow.providers.js';
import { FAST } from '../../support/cluster/cluster-of.js';
import { postgresDatabase, postgresUrl, type TestDatabase } from '../../support/database/test-databases.js';
import type { EngineKind, EngineUnderTest, TaskNode } from '../engine-under-test.js';

class ClusterProcess {}

const SILENT = { logger: { log: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined } };

interface Running extends TaskNode {
  readonly context: INestApplicationContext;
}

/** Nodes in this process on a database of their own, in real time. */
class ClusterUnderTest implements EngineUnderTest {
  private readonly definitions = new Map<string, TaskDefinition>();
  private database: TestDatabase | undefined;
  private options: TaskflowOptionsInput = {};
  private current: Running | undefined;
  private readonly all: Running[] = [];

  get node(): TaskNode {
    if (this.current === undefined) throw new Error('No process is running.');
    return this.current;
  }

  define(name: string, definition: TaskDefinition): void {
    this.definitions.set(name, definition);
  }

  async start(options: TaskflowOptionsInput = {}): Promise<void> {
    this.database ??= await postgresDatabase();
    this.options = options;
    this.current = await this.process();
  }

  async crash(): Promise<void> {
    const { current } = this;
    this.current = undefined;
    await current?.get<Engine>(ENGINE).close();
  }

  async stop(): Promise<void> {
    const { current } = this;
    this.current = undefined;
    await current?.system.shutdown();
  }

  async restart(options?: TaskflowOptionsInput): Promise<void> {
    if (options !== undefined) this.options = options;
    this.current = await this.process();
  }

  readonly secondNode = (): Promise<TaskNode> => this.process();

  until<T>(promise: Promise<T>): Promise<T> {
    return promise;
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  async atRest(): Promise<void> {}

  async close(): Promise<void> {
    this.current = undefined;
    await Promise.all(this.all.splice(0).map(({ system }) => system.shutdown({ force: true }).catch(() => undefined)));
    await this.database?.drop();
    this.database = undefined;
  }

  private async process(): Promise<Running> {
    const options = {
      ...this.options,
      engine: 'cluster',
      repository: this.database!.options,
      hooks: SILENT,
      cluster: { ...FAST, leaseTtlMs: 6_000, ...this.options.cluster },
    };
    const module = {
      module: ClusterProcess,
      imports: [DiscoveryModule],
      providers: [{ provide: TASKFLOW_OPTIONS_INPUT, useValue: options }, ...taskflowProviders],
    };
    const context = await NestFactory.createApplicationContext(module, { abortOnError: false, logger: false });
    const system = context.get(TaskSystem);
    const running: Running = { context, system, get: (token) => context.get(token) };
    for (const [name, definition] of this.definitions) system.defineTask(name, definition);
    await system.initialize();
    this.all.push(running);
    return running;
  }
}

export const CLUSTER: EngineKind = {
  name: 'cluster',
  missing: postgresUrl() === undefined ? (process.env['TASKFLOW_TEST_PG_SKIPPED'] ?? 'no PostgreSQL') : undefined,
  create: () => new ClusterUnderTest(),
};
