import type { Provider, Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { CHANGE_FEED, CLOCK, LOG_FILE_SYSTEM, QUEUE_GATE, TASKFLOW_OPTIONS_INPUT, WORK_FEED } from '../../config/taskflow.tokens.js';
import type { TaskflowOptionsInput } from '../../config/taskflow-options.interface.js';
import type { ChangeFeed } from '../../contracts/change-feed.interface.js';
import type { TaskRepository } from '../../contracts/task-repository.interface.js';
import type { WorkFeed } from '../../contracts/work-feed.interface.js';
import { EventLogError } from '../../errors/storage.errors.js';
import { ExecutorService } from '../../executor/executor.service.js';
import { InterceptorChain } from '../../handlers/interceptor-chain.js';
import { MarkedProviders } from '../../handlers/marked-providers.js';
import { StreamService } from '../../stream/stream.service.js';
import { TaskSystem } from '../../task-system.js';
import { TaskflowLifecycle } from '../../taskflow.lifecycle.js';
import { taskflowProviders } from '../../taskflow.providers.js';
import { LifeClock, type TestClock } from '../clock/test-clock.js';
import type { MemoryDisk } from '../disk/memory-disk.js';
import { type DatabaseState, gated } from '../rows/repository-gate.js';
import { ProviderContainer } from './provider-container.js';
import { WorkGate } from './work-gate.js';

/** The application that the task system is part of. It outlives a crash, as its code does. */
export interface Host {
  readonly discovery: DiscoveryService;
  readonly moduleRef: ModuleRef;
}

/** What outlives a process. */
export interface Surroundings {
  readonly host: Host;
  readonly options: TaskflowOptionsInput;
  readonly clock: TestClock;
  readonly disk: MemoryDisk;
  /** Where rows are kept, unless the options name a database of TypeORM's. */
  readonly repository: TaskRepository | undefined;
  readonly database: DatabaseState;
  /** Whether tasks start by themselves. */
  readonly isOpen: () => boolean;
}

/** One life of a process: a task system from its start to its end, or to its crash. */
export class Life {
  readonly gate: WorkGate;
  private readonly clock: LifeClock;
  private readonly container: ProviderContainer;
  private isOver = false;

  constructor(private readonly around: Surroundings) {
    this.clock = new LifeClock(around.clock);
    this.gate = new WorkGate(this.clock, around.isOpen);
    this.container = new ProviderContainer(this.providers());
  }

  get system(): TaskSystem {
    return this.get(TaskSystem);
  }
  get executor(): ExecutorService {
    return this.get(ExecutorService);
  }
  get changes(): ChangeFeed {
    return this.get(CHANGE_FEED);
  }
  get interceptors(): InterceptorChain {
    return this.get(InterceptorChain);
  }

  get<T>(token: Type<T> | symbol): T {
    return this.container.get(token);
  }

  /** Runs under way, and starts. */
  get isBusy(): boolean {
    return this.executor.running > 0 || this.get<WorkFeed>(WORK_FEED).starting > 0;
  }

  /** What the module does for a first life, in the same order. */
  async start(): Promise<void> {
    const marked = this.get<MarkedProviders>(MarkedProviders);
    marked.discoverEarly();
    marked.registerAll();
    await this.get<TaskflowLifecycle>(TaskflowLifecycle).open();
    await this.system.initialize();
  }

  /** As `kill -9`: nothing of it is written any more, to disk or database, and nothing is called back. */
  crash(): void {
    this.isOver = true;
    this.around.disk.isDown = true;
    // A process that is gone runs nothing. In a test it is still there: so its handlers are told, and their streams end.
    this.executor.haltAll(new EventLogError('failed', 'unknown', 'The process crashed, as the test has it.'));
    void this.get(StreamService).stop();
    this.clock.end();
  }

  private providers(): Provider[] {
    const { host, options, disk, repository, database } = this.around;
    const input: TaskflowOptionsInput =
      repository === undefined
        ? options
        : { ...options, repository: { type: 'custom', repository: gated(repository, database, () => this.isOver) } };
    return [
      ...taskflowProviders,
      { provide: TASKFLOW_OPTIONS_INPUT, useValue: input },
      { provide: CLOCK, useValue: this.clock },
      { provide: LOG_FILE_SYSTEM, useValue: disk },
      { provide: QUEUE_GATE, useValue: <Q extends object>(queue: Q): Q => this.gate.before(queue) },
      { provide: DiscoveryService, useValue: host.discovery },
      { provide: ModuleRef, useValue: host.moduleRef },
    ];
  }
}
