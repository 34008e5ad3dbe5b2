import type { Provider } from '@nestjs/common';
import { resolveOptions } from './config/resolve-options.js';
import {
  CLOCK,
  CHANGE_FEED,
  FACT_PORT,
  ID_SOURCE,
  LOG_FILE_SYSTEM,
  LOGGER,
  RUN_LIVENESS,
  TASK_CREATOR,
  TASK_MESSAGE_SOURCE,
  TASK_QUERIES,
  TASK_STORE,
  TASKFLOW_OPTIONS,
  TASKFLOW_OPTIONS_INPUT,
  TELEMETRY,
  RESIDENT_FACTS,
  WORK_FEED,
  WORK_SOURCE,
} from './config/taskflow.tokens.js';
import type { TaskflowOptionsInput } from './config/taskflow-options.interface.js';
import { TaskflowOptions } from './config/taskflow.options.js';
import { ConfigValidationError } from './errors/config.errors.js';
import type { Clock } from './contracts/clock.interface.js';
import type { LogFileSystem } from './contracts/log-file-system.interface.js';
import { LogCursorFile } from './engines/local/wal/cursor-file.js';
import { EventLogService } from './engines/local/wal/event-log.service.js';
import { LogFolder } from './engines/local/wal/log-folder.js';
import { NodeFileSystem } from './engines/local/wal/node-file-system.js';
import { ExecutionEnvironment } from './executor/execution-environment.js';
import { ExecutorService } from './executor/executor.service.js';
import { FairQueue } from './engines/local/queue/fair-queue.js';
import { LocalWorkFeed } from './engines/local/queue/local-work-feed.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import { KeyReservations } from './engines/local/ledger/key-reservations.service.js';
import { Ledger } from './engines/local/ledger/ledger.service.js';
import { LocalChangeFeed } from './engines/local/ledger/local-change-feed.js';
import { LocalRunLiveness } from './engines/local/ledger/local-run-liveness.js';
import { Overlay } from './engines/local/ledger/overlay.js';
import { TailRestore } from './engines/local/ledger/tail-restore.service.js';
import { DeadLetterCensus } from './engines/local/ledger/dead-letter-census.service.js';
import { LocalTaskQueries } from './engines/local/ledger/local-task-queries.js';
import { TaskList } from './engines/local/ledger/task-list.service.js';
import { TaskReader } from './engines/local/ledger/task-reader.service.js';
import { DatabaseOutage } from './engines/local/storage/database-outage.service.js';
import { FlushLogger } from './engines/local/projection/flush-logger.js';
import { FlushService } from './engines/local/projection/flush.service.js';
import { FlusherFactory } from './engines/local/projection/flusher.factory.js';
import { GuardService } from './guard/guard.service.js';
import { CancellationService } from './intake/cancellation.service.js';
import { LocalTaskCreator } from './engines/local/intake/local-task-creator.js';
import { ManyCreation } from './engines/local/intake/many-creation.service.js';
import { TaskCreation } from './engines/local/intake/task-creation.service.js';
import { IntakeService } from './intake/intake.service.js';
import { Readiness } from './lifecycle/readiness.js';
import { TaskResolver } from './intake/task-resolver.service.js';
import { inOwnContexts } from './primitives/async-context.js';
import { SystemClock } from './primitives/system-clock.js';
import { SystemIdSource } from './primitives/id-source.js';
import { DeadLetterCount } from './dead-letters/dead-letter-count.service.js';
import { ManualRetry } from './dead-letters/manual-retry.service.js';
import { DeadLetterService } from './dead-letters/dead-letter.service.js';
import { DatabaseCatchUp } from './engines/local/startup/database-catch-up.service.js';
import { Homecoming } from './engines/local/startup/homecoming.service.js';
import { Housekeeping } from './engines/local/startup/housekeeping.service.js';
import { RecoveryService } from './engines/local/startup/recovery.service.js';
import { RetentionService } from './engines/local/startup/retention.service.js';
import { StartNotices } from './engines/local/startup/start-notices.service.js';
import { StaleScan } from './engines/local/startup/stale-scan.service.js';
import { createTaskStore } from './engines/local/storage/repository.factory.js';
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
import { TaskSystem } from './task-system.js';
import { TaskflowLifecycle } from './taskflow.lifecycle.js';
import { DegradationService } from './degradation.service.js';
import { TaskflowStats } from './taskflow-stats.js';

function optionsOf(input: TaskflowOptionsInput): TaskflowOptions {
  const options = resolveOptions(input);
  if (options.engine === 'cluster')
    throw new ConfigValidationError([{ path: 'engine', message: "'cluster' is not part of this version; leave it out, or set 'local'" }]);
  return options;
}

/** Where the engine meets the world. Each is a token, so that a test can put its own in. */
const ports: Provider[] = [
  { provide: TASKFLOW_OPTIONS, useFactory: optionsOf, inject: [TASKFLOW_OPTIONS_INPUT] },
  { provide: CLOCK, useClass: SystemClock },
  { provide: ID_SOURCE, useClass: SystemIdSource },
  { provide: LOG_FILE_SYSTEM, useClass: NodeFileSystem },
  { provide: LOGGER, useFactory: (options: TaskflowOptions) => loggerFor(options.hooks, 'Taskflow'), inject: [TASKFLOW_OPTIONS] },
  { provide: TELEMETRY, useFactory: (options: TaskflowOptions) => new OpenTelemetryService(options.hooks), inject: [TASKFLOW_OPTIONS] },
  {
    provide: TASK_STORE,
    useFactory: (options: TaskflowOptions, clock: Clock, fs: LogFileSystem, log: EventLogService, outage: DatabaseOutage) => {
      const { eventLogPath } = options.eventLog;
      const folder = new LogFolder(fs, eventLogPath);
      const store = createTaskStore(options.repository, {
        clock,
        ensureFile: (path) => folder.createFile(path),
        sharesProcessWithLog: true,
        onSilence: (isSilent) => (isSilent ? outage.away('reads', 'it neither answers nor refuses.') : outage.back('reads')),
        cursorFile: new LogCursorFile(fs, eventLogPath),
        logId: () => log.logId,
      });
      return inOwnContexts(store);
    },
    inject: [TASKFLOW_OPTIONS, CLOCK, LOG_FILE_SYSTEM, EventLogService, DatabaseOutage],
  },
  {
    provide: WORK_SOURCE,
    useFactory: (options: TaskflowOptions, guard: GuardService, clock: Clock, registry: HandlerRegistry) => {
      registry.onDefined(({ name, maxConcurrentExecutions }) => guard.slots.limitHandler(name, maxConcurrentExecutions));
      return new FairQueue(guard.slots, options.recovery, clock, guard.waiting);
    },
    inject: [TASKFLOW_OPTIONS, GuardService, CLOCK, HandlerRegistry],
  },
  { provide: WORK_FEED, useExisting: LocalWorkFeed },
  { provide: RUN_LIVENESS, useClass: LocalRunLiveness },
  { provide: TASK_CREATOR, useExisting: LocalTaskCreator },
  { provide: RESIDENT_FACTS, useExisting: Ledger },
  { provide: FACT_PORT, useExisting: Ledger },
  { provide: CHANGE_FEED, useExisting: LocalChangeFeed },
  { provide: TASK_QUERIES, useExisting: LocalTaskQueries },
  { provide: TASK_MESSAGE_SOURCE, useExisting: TaskSystem },
];

export const taskflowProviders: Provider[] = [
  ...ports,
  EventLogService,
  Overlay,
  TaskReader,
  Ledger,
  LocalChangeFeed,
  KeyReservations,
  TailRestore,
  TaskList,
  DeadLetterCensus,
  LocalTaskQueries,
  GuardService,
  StreamService,
  DatabaseOutage,
  FlushLogger,
  FlusherFactory,
  FlushService,
  HandlerRegistry,
  ExecutionEnvironment,
  ExecutorService,
  Readiness,
  MisuseLog,
  TaskSseGate,
  LocalWorkFeed,
  TaskCreation,
  ManyCreation,
  LocalTaskCreator,
  LateClose,
  IntakeService,
  CancellationService,
  TaskResolver,
  RecoveryService,
  ManualRetry,
  DeadLetterService,
  DeadLetterCount,
  Homecoming,
  DatabaseCatchUp,
  StartNotices,
  RetentionService,
  StaleScan,
  Housekeeping,
  ProviderExplorer,
  AttemptProviders,
  InterceptorChain,
  TaskListeners,
  MarkedProviders,
  TaskHandlerDefinitions,
  TaskflowLifecycle,
  DegradationService,
  TaskflowStats,
  TaskSystem,
];
