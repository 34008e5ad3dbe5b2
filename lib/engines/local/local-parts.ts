import type { LoggerService } from '@nestjs/common';
import type { TaskflowOptions } from '../../config/taskflow.options.js';
import type { Clock, IdSource } from '../../contracts/clock.interface.js';
import type { RegisteredHandler } from '../../contracts/handler-registry.interface.js';
import type { LogFileSystem } from '../../contracts/log-file-system.interface.js';
import type { TaskStore } from '../../contracts/task-store.interface.js';
import type { Telemetry } from '../../contracts/telemetry.interface.js';
import { GuardService } from '../../guard/guard.service.js';
import type { Readiness } from '../../lifecycle/readiness.js';
import { inOwnContexts } from '../../primitives/async-context.js';
import { LocalTaskCreator } from './intake/local-task-creator.js';
import { ManyCreation } from './intake/many-creation.service.js';
import { TaskCreation } from './intake/task-creation.service.js';
import { DeadLetterCensus } from './ledger/dead-letter-census.service.js';
import { KeyReservations } from './ledger/key-reservations.service.js';
import { Ledger } from './ledger/ledger.service.js';
import { LocalChangeFeed } from './ledger/local-change-feed.js';
import { LocalRunLiveness } from './ledger/local-run-liveness.js';
import { LocalTaskQueries } from './ledger/local-task-queries.js';
import { Overlay } from './ledger/overlay.js';
import { TailRestore } from './ledger/tail-restore.service.js';
import { TaskList } from './ledger/task-list.service.js';
import { TaskReader } from './ledger/task-reader.service.js';
import { FlushLogger } from './projection/flush-logger.js';
import { FlushService } from './projection/flush.service.js';
import { FlusherFactory } from './projection/flusher.factory.js';
import { FairQueue } from './queue/fair-queue.js';
import { LocalWorkFeed } from './queue/local-work-feed.js';
import type { WorkSource } from './queue/work-source.interface.js';
import { DatabaseCatchUp } from './startup/database-catch-up.service.js';
import { Homecoming } from './startup/homecoming.service.js';
import { Housekeeping } from './startup/housekeeping.service.js';
import { RecoveryService } from './startup/recovery.service.js';
import { RetentionService } from './startup/retention.service.js';
import { StaleScan } from './startup/stale-scan.service.js';
import { StartNotices } from './startup/start-notices.service.js';
import { DatabaseOutage } from './storage/database-outage.service.js';
import { createTaskStore } from './storage/repository.factory.js';
import { LogCursorFile } from './wal/cursor-file.js';
import { EventLogService } from './wal/event-log.service.js';
import { LogFolder } from './wal/log-folder.js';

/** What the engine is made of, beside itself. */
export interface LocalWorld {
  readonly options: TaskflowOptions;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: LoggerService;
  readonly telemetry: Telemetry;
  readonly fs: LogFileSystem;
  /** Where it says that nothing new may be accepted. */
  readonly readiness: Readiness;
  readonly handlers: { names(): readonly string[]; onDefined(listener: (handler: RegisteredHandler) => void): void };
  /** What stands before the queue: a test's gate, or the queue itself. */
  readonly gate: <S extends WorkSource>(queue: S) => S;
}

export type LocalParts = ReturnType<typeof localParts>;

/** All parts, wired: each is made once, from those above it. */
export function localParts(world: LocalWorld) {
  const { options, clock, ids, logger, telemetry, fs, readiness } = world;
  const log = new EventLogService(options, clock, ids, fs);
  const outage = new DatabaseOutage(clock, logger);
  const store = storeOf(world, log, outage);

  const overlay = new Overlay();
  const reader = new TaskReader(log, overlay, store);
  const ledger = new Ledger(log, overlay, reader);
  const changes = new LocalChangeFeed(options, clock, ledger, reader);
  const liveness = new LocalRunLiveness(ledger);
  const census = new DeadLetterCensus(overlay, store);
  const queries = new LocalTaskQueries(reader, new TaskList(overlay, reader, store), census);
  const tail = new TailRestore(log, overlay, reader, store);

  const guard = new GuardService(options, clock, telemetry);
  world.handlers.onDefined(({ name, maxConcurrentExecutions }) => guard.slots.limitHandler(name, maxConcurrentExecutions));
  const queue = world.gate(new FairQueue(guard.slots, options.recovery, clock, guard.waiting));
  const work = new LocalWorkFeed(options, clock, logger, ledger, reader, queue, telemetry);

  const keys = new KeyReservations(overlay, reader);
  const creation = new TaskCreation(clock, ids, ledger, telemetry, work);
  const many = new ManyCreation(ledger, creation, keys, guard);
  const creator = new LocalTaskCreator(options, ledger, creation, many, keys, guard, work);

  const flushLogger = new FlushLogger(logger, outage);
  const flush = new FlushService(
    options,
    clock,
    log,
    store,
    telemetry,
    new FlusherFactory(options, clock, ids, fs, flushLogger),
    flushLogger,
  );

  const homecoming = new Homecoming(options, clock, store, logger, log);
  const recovery = new RecoveryService(options, ledger, store, telemetry, log, overlay, work, logger);
  const catchUp = new DatabaseCatchUp(clock, logger, readiness, log, overlay, tail, homecoming, recovery, flush, outage);
  const stale = new StaleScan(options, clock, store, telemetry, log);
  const retention = new RetentionService(options, clock, ledger, store, log);
  const housekeeping = new Housekeeping(options, clock, logger, homecoming, stale, retention);
  const notices = new StartNotices(options, logger, log, world.handlers, recovery, work);

  const facade = { changes, liveness, queries, work, creator };
  const start = { tail, homecoming, recovery, catchUp, housekeeping, notices };
  return { ...facade, ...start, log, store, outage, overlay, reader, census, ledger, guard, flush, stale, retention };
}

function storeOf({ options, clock, fs }: LocalWorld, log: EventLogService, outage: DatabaseOutage): TaskStore {
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
}
