import type { LoggerService, Provider } from '@nestjs/common';
import type { TaskflowOptions } from './config/taskflow.options.js';
import {
  CHANGE_FEED,
  CLOCK,
  ENGINE,
  FACT_PORT,
  ID_SOURCE,
  LOG_FILE_SYSTEM,
  LOGGER,
  QUEUE_GATE,
  TASK_CREATOR,
  TASK_QUERIES,
  TASKFLOW_OPTIONS,
  TELEMETRY,
  WORK_FEED,
} from './config/taskflow.tokens.js';
import type { Clock, IdSource } from './contracts/clock.interface.js';
import type { Engine } from './contracts/engine.interface.js';
import type { LogFileSystem } from './contracts/log-file-system.interface.js';
import type { Telemetry } from './contracts/telemetry.interface.js';
import { createClusterEngine } from './engines/cluster/cluster-engine.js';
import { LocalEngine } from './engines/local/local-engine.js';
import type { LocalWorld } from './engines/local/local-parts.js';
import { NodeFileSystem } from './engines/local/wal/node-file-system.js';
import { EventLogService, FlushService, GuardService, RecoveryService } from './engine-services.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import { Readiness } from './lifecycle/readiness.js';

/**
 * The only place that knows the engines. The options say which one runs, and they may come from an async factory: so an engine is no list
 * of providers, but one object that is built when the options are there, with its parts in it. Tokens of single contracts read from it.
 */
function engineOf(
  options: TaskflowOptions,
  clock: Clock,
  ids: IdSource,
  logger: LoggerService,
  telemetry: Telemetry,
  readiness: Readiness,
  handlers: HandlerRegistry,
  fs: LogFileSystem,
  gate: LocalWorld['gate'],
): Engine {
  const world = { options, clock, ids, logger, telemetry, readiness, handlers };
  return options.engine === 'cluster' ? createClusterEngine(world) : new LocalEngine({ ...world, fs, gate });
}

const part = (token: symbol, of: (engine: Engine) => unknown): Provider => ({ provide: token, useFactory: of, inject: [ENGINE] });

export const engineProviders: Provider[] = [
  // Where the local engine meets the world. Each is a token, so that a test can put its own in.
  { provide: LOG_FILE_SYSTEM, useClass: NodeFileSystem },
  { provide: QUEUE_GATE, useValue: <Q>(queue: Q): Q => queue },
  {
    provide: ENGINE,
    useFactory: engineOf,
    inject: [TASKFLOW_OPTIONS, CLOCK, ID_SOURCE, LOGGER, TELEMETRY, Readiness, HandlerRegistry, LOG_FILE_SYSTEM, QUEUE_GATE],
  },
  part(FACT_PORT, ({ facts }) => facts),
  part(TASK_CREATOR, ({ creator }) => creator),
  part(TASK_QUERIES, ({ queries }) => queries),
  part(CHANGE_FEED, ({ changes }) => changes),
  part(WORK_FEED, ({ work }) => work),
  GuardService,
  EventLogService,
  FlushService,
  RecoveryService,
];
