import { type DynamicModule, Inject, Module, Optional, type OnApplicationBootstrap, type Provider, type Type } from '@nestjs/common';
import { DiscoveryModule, ModulesContainer } from '@nestjs/core';
import type { TaskflowOptionsFactory, TaskflowOptionsInput } from './config/taskflow-options.interface.js';
import { TASKFLOW_OPTIONS, TASKFLOW_OPTIONS_INPUT } from './config/taskflow.tokens.js';
import { ConfigValidationError } from './errors/config.errors.js';
import { EventLogService, FlushService, GuardService, RecoveryService } from './engine-services.js';
import { ExecutorService } from './executor/executor.service.js';
import { DeadLetterService } from './dead-letters/dead-letter.service.js';
import { StreamService } from './stream/stream.service.js';
import { TaskSseGate } from './http/task-sse.gate.js';
import { ApplicationEdges, ApplicationEdgesModule, ApplicationExit, ApplicationExitModule } from './lifecycle/application-edges.module.js';
import { MarkedProviders } from './handlers/marked-providers.js';
import { requireSingleRoot } from './single-root.js';
import { FEATURE_PROVIDERS, TaskflowFeatureModule } from './taskflow-feature.module.js';
import { TaskSystem } from './task-system.js';
import { TaskflowLifecycle } from './taskflow.lifecycle.js';
import { taskflowProviders } from './taskflow.providers.js';

const PUBLIC = [
  TaskSystem,
  GuardService,
  StreamService,
  EventLogService,
  FlushService,
  ExecutorService,
  RecoveryService,
  DeadLetterService,
  TASKFLOW_OPTIONS,
  TaskSseGate,
];

export interface TaskflowModuleAsyncOptions {
  /** Default true. Beside the factory, since Nest needs it before any factory runs. */
  isGlobal?: boolean;
  imports?: any[];
  inject?: any[];
  useFactory?: (...args: any[]) => TaskflowOptionsInput | Promise<TaskflowOptionsInput>;
  useClass?: Type<TaskflowOptionsFactory>;
  useExisting?: Type<TaskflowOptionsFactory>;
}

/** Durable tasks: import it once, in the root module. Handlers are plain providers of any module. */
@Module({})
export class TaskflowModule implements OnApplicationBootstrap {
  constructor(
    @Inject(ModulesContainer) container: ModulesContainer,
    // Absent where the class itself is imported, which has no providers.
    @Optional() @Inject(TaskSystem) private readonly system: TaskSystem,
    @Optional() @Inject(MarkedProviders) private readonly marked: MarkedProviders,
    @Optional() @Inject(TaskflowLifecycle) private readonly lifecycle: TaskflowLifecycle,
    @Optional() @Inject(ApplicationEdges) edges: ApplicationEdges,
    @Optional() @Inject(ApplicationExit) exit: ApplicationExit,
  ) {
    requireSingleRoot(container, TaskflowModule);
    if (marked === undefined)
      throw new ConfigValidationError([{ path: 'TaskflowModule', message: 'is imported as it is: import TaskflowModule.forRoot(), once' }]);
    marked.discoverEarly();
    edges.onUp(() => this.system.initialize());
    edges.onClosing(() => this.lifecycle.stopWork());
    // Not later: Nest closes sockets and TypeORM its pools after that, and open streams would hold both up. Not earlier: browsers that are asked
    // to come back before the port closes find a process that refuses them, and an EventSource that is refused never comes again.
    exit.onLeaving(() => this.system.shutdown());
  }

  /** Without options: SQLite and log in `./.taskflow`. Options are checked when the application is created. */
  static forRoot(options: TaskflowOptionsInput & { isGlobal?: boolean } = {}): DynamicModule {
    const { isGlobal = true, ...input } = options;
    return define(isGlobal, [], [{ provide: TASKFLOW_OPTIONS_INPUT, useValue: input }]);
  }

  /** @throws ConfigValidationError unless exactly one of useFactory, useClass and useExisting is given. */
  static forRootAsync(options: TaskflowModuleAsyncOptions): DynamicModule {
    return define(options.isGlobal ?? true, options.imports ?? [], inputProviders(options));
  }

  /**
   * Beside them in `imports`: registers providers of a module that LazyModuleLoader loads after the start, which no scan finds.
   * Elsewhere it only checks that each class is marked and provided.
   * @param handlers classes that the importing module provides, marked with `@TaskHandler` (or `@TaskInterceptor`, or with `@OnTask` methods).
   */
  static forFeature(handlers: readonly Type<unknown>[]): DynamicModule {
    return { module: TaskflowFeatureModule, providers: [{ provide: FEATURE_PROVIDERS, useValue: handlers }] };
  }

  /** Other providers' hooks of this name may submit; what they submit runs when the last of these hooks is over. */
  async onApplicationBootstrap(): Promise<void> {
    this.marked.registerAll();
    await this.lifecycle.open();
  }
}

function define(global: boolean, imports: any[], input: Provider[]): DynamicModule {
  return {
    module: TaskflowModule,
    global,
    imports: [DiscoveryModule, ApplicationEdgesModule, ApplicationExitModule, ...imports],
    providers: [...input, ...taskflowProviders],
    exports: PUBLIC,
  };
}

function inputProviders({ useFactory, useClass, useExisting, inject = [] }: TaskflowModuleAsyncOptions): Provider[] {
  const given = [useFactory, useClass, useExisting].filter((each) => each !== undefined);
  if (given.length !== 1) {
    throw new ConfigValidationError([
      { path: 'forRootAsync', message: `needs exactly one of useFactory, useClass and useExisting, got ${given.length}` },
    ]);
  }
  if (useFactory !== undefined) return [{ provide: TASKFLOW_OPTIONS_INPUT, useFactory, inject }];
  const factory = (useClass ?? useExisting)!;
  const fromFactory: Provider = {
    provide: TASKFLOW_OPTIONS_INPUT,
    useFactory: (source: TaskflowOptionsFactory) => source.createTaskflowOptions(),
    inject: [factory],
  };
  return useClass === undefined ? [fromFactory] : [factory, fromFactory];
}
