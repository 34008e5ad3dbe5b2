import { type ChildProcess, fork } from 'node:child_process';
import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { OpenedLog } from '../../../contracts/event-log.interface.js';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { LogCursorFile } from '../wal/cursor-file.js';
import { LogFolder } from '../wal/log-folder.js';
import { isFile } from '../wal/file-presence.js';
import type { WhileHeld } from '../wal/log-tenure.js';
import { SegmentTail } from '../wal/segment-tail.js';
import { projectorConfigOf } from '../storage/projector-config.js';
import { createProjector } from '../storage/repository.factory.js';
import { FlushLogger } from './flush-logger.js';
import { noticesTo } from './flush-notice.js';
import type { Flusher, FlushLoopOptions } from './flusher.interface.js';
import { InlineFlusher } from './inline-flusher.js';
import type { WorkerConfig } from './worker/worker-protocol.js';
import { workerFlags } from './worker/worker-flags.js';
import { WORKER_FILE } from './worker-file.cjs';
import { WorkerSupervisor } from './worker-supervisor.js';

/** Decides where the flush loop of a log runs: in a worker process, or inline where the storage cannot cross to one. */
export class FlusherFactory {
  constructor(
    private readonly options: TaskflowOptions,
    private readonly clock: Clock,
    private readonly ids: IdSource,
    private readonly fs: LogFileSystem,
    private readonly logger: FlushLogger,
  ) {}

  /** @param store what a custom repository's rows are read through. @param whileHeld how its cursor is written. */
  create(log: OpenedLog, store: TaskStore, whileHeld: WhileHeld): Flusher {
    const repository = this.options.flush.worker === 'inline' ? undefined : projectorConfigOf(this.options.repository);
    const loop = this.loopOptions(log);
    if (repository === undefined) return this.inline(loop, store, whileHeld);
    const file = isFile(WORKER_FILE) ? WORKER_FILE : undefined;
    if (file !== undefined) return this.inProcess(file, { loop, repository });
    this.logger.workerMissing();
    return this.inline(loop, store, whileHeld);
  }

  private loopOptions(log: OpenedLog): FlushLoopOptions {
    const { flushIntervalMs, maxBatchSize, circuitBreakerThreshold, circuitBreakerDurationMs } = this.options.flush;
    const { eventLogPath } = this.options.eventLog;
    return {
      logId: log.logId,
      ownerGen: log.gen,
      // What the start found, the start has checked; from here on it can only grow.
      appliedAtLeast: 0,
      eventLogPath,
      flushIntervalMs,
      maxBatchSize,
      circuitBreakerThreshold,
      circuitBreakerDurationMs,
    };
  }

  private inline(loop: FlushLoopOptions, store: TaskStore, whileHeld: WhileHeld): InlineFlusher {
    const { clock, ids, fs } = this;
    const folder = new LogFolder(fs, loop.eventLogPath);
    const ports = { clock, ensureFile: (path: string) => folder.createFile(path), sharesProcessWithLog: true };
    const notices = noticesTo((notice) => this.logger.noticed(notice));
    const beside = { store, cursorFile: new LogCursorFile(fs, loop.eventLogPath, whileHeld) };
    const projector = createProjector(this.options.repository, ports, notices, beside);
    return new InlineFlusher(loop, { source: new SegmentTail(fs, loop.eventLogPath), projector, clock, ids });
  }

  private inProcess(file: string, config: WorkerConfig): WorkerSupervisor {
    // Paths in the options are relative to where the application stands now, also for a worker that follows much later.
    const cwd = process.cwd();
    return new WorkerSupervisor(config, {
      fork: () => forkWorker(file, cwd),
      clock: this.clock,
      ids: this.ids,
      onNotice: (notice) => this.logger.noticed(notice),
      onLost: (lost) => this.logger.workerLost(lost),
    });
  }
}

function forkWorker(file: string, cwd: string): ChildProcess {
  const { NODE_OPTIONS, ...others } = process.env;
  const execArgv = workerFlags(NODE_OPTIONS, process.execArgv);
  // What somebody wants in this process on purpose, such as a tracer of its own.
  const own = process.env['TASKFLOW_WORKER_NODE_OPTIONS'];
  const env = own === undefined ? others : { ...others, NODE_OPTIONS: own };
  return fork(file, [], { cwd, env, execArgv, serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
}
