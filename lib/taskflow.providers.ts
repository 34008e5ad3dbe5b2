import type { Provider } from '@nestjs/common';
import { resolveOptions } from './config/resolve-options.js';
import {
  CLOCK,
  ID_SOURCE,
  LOGGER,
  TASK_MESSAGE_SOURCE,
  TASKFLOW_OPTIONS,
  TASKFLOW_OPTIONS_INPUT,
  TELEMETRY,
} from './config/taskflow.tokens.js';
import { TaskflowOptions } from './config/taskflow.options.js';
import { engineProviders } from './engine.providers.js';
import { ExecutionEnvironment } from './executor/execution-environment.js';
import { ExecutorService } from './executor/executor.service.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import { CancellationService } from './intake/cancellation.service.js';
import { IntakeService } from './intake/intake.service.js';
import { Readiness } from './lifecycle/readiness.js';
import { TaskResolver } from './intake/task-resolver.service.js';
import { SystemClock } from './primitives/system-clock.js';
import { SystemIdSource } from './primitives/id-source.js';
import { DeadLetterCount } from './dead-letters/dead-letter-count.service.js';
import { ManualRetry } from './dead-letters/manual-retry.service.js';
import { DeadLetterService } from './dead-letters/dead-letter.service.js';
import { ManyStreams } from './stream/many/many-streams.service.js';
import { StreamService } from './stream/stream.service.js';
import { loggerFor } from './telemetry/taskflow-logger.js';
import { LateClose } from './http/late-close.js';
import { TaskSseGate } from './http/task-sse.gate.js';
import { MisuseLog } from './telemetry/misuse-log.js';
import { OpenTelemetryService } from './telemetry/open-telemetry.service.js';
import { TaskHandlerDefinitions } from './handlers/task-handler.definitions.js';
import { AttemptProviders } from './handlers/attempt-providers.js';
import { InterceptorChain } from './handlers/interceptor-chain.js';
import { ProviderExplorer } from './handlers/provider-explorer.js';
import { TaskListeners } from './handlers/task-listeners.js';
import { MarkedProviders } from './handlers/marked-providers.js';
import { TaskStreams } from './task-streams.js';
import { TaskSystem } from './task-system.js';
import { TaskflowLifecycle } from './taskflow.lifecycle.js';
import { TaskflowStats } from './taskflow-stats.js';

/** Where the library meets the world. Each is a token, so that a test can put its own in. */
const ports: Provider[] = [
  { provide: TASKFLOW_OPTIONS, useFactory: resolveOptions, inject: [TASKFLOW_OPTIONS_INPUT] },
  { provide: CLOCK, useClass: SystemClock },
  { provide: ID_SOURCE, useClass: SystemIdSource },
  { provide: LOGGER, useFactory: (options: TaskflowOptions) => loggerFor(options.hooks, 'Taskflow'), inject: [TASKFLOW_OPTIONS] },
  { provide: TELEMETRY, useFactory: (options: TaskflowOptions) => new OpenTelemetryService(options.hooks), inject: [TASKFLOW_OPTIONS] },
  { provide: TASK_MESSAGE_SOURCE, useExisting: TaskSystem },
];

export const taskflowProviders: Provider[] = [
  ...ports,
  ...engineProviders,
  StreamService,
  ManyStreams,
  HandlerRegistry,
  ExecutionEnvironment,
  ExecutorService,
  Readiness,
  MisuseLog,
  TaskSseGate,
  LateClose,
  IntakeService,
  CancellationService,
  TaskResolver,
  ManualRetry,
  DeadLetterService,
  DeadLetterCount,
  ProviderExplorer,
  AttemptProviders,
  InterceptorChain,
  TaskListeners,
  MarkedProviders,
  TaskHandlerDefinitions,
  TaskflowLifecycle,
  TaskflowStats,
  TaskStreams,
  TaskSystem,
];
