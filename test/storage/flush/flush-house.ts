import { join } from 'node:path';
import { resolveOptions } from '../../../lib/config/resolve-options.js';
import type { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { Clock } from '../../../lib/contracts/clock.interface.js';
import type { FrameSink, LogDraft, OpenedLog } from '../../../lib/contracts/event-log.interface.js';
import { taskId } from '../../../lib/contracts/ids.js';
import type { LogEntry } from '../../../lib/contracts/log-entry.interface.js';
import type { FlushCursor, TaskStore } from '../../../lib/contracts/task-store.interface.js';
import { isControl } from '../../../lib/domain/entry-types.js';
import { fold } from '../../../lib/domain/fold.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import { LogCursorFile } from '../../../lib/engines/local/wal/cursor-file.js';
import { EventLogService } from '../../../lib/engines/local/wal/event-log.service.js';
import { LogFolder } from '../../../lib/engines/local/wal/log-folder.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';
import { DatabaseOutage } from '../../../lib/engines/local/storage/database-outage.service.js';
import { FlushLogger } from '../../../lib/engines/local/projection/flush-logger.js';
import { FlushService } from '../../../lib/engines/local/projection/flush.service.js';
import { FlusherFactory } from '../../../lib/engines/local/projection/flusher.factory.js';
import { checkCursor } from '../../../lib/engines/local/projection/cursor-check.js';
import { SystemIdSource } from '../../../lib/primitives/id-source.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { createTaskStore } from '../../../lib/engines/local/storage/repository.factory.js';
import { FakeTelemetry } from '../../support/doubles/fake-telemetry.js';
import { group, TrackingSink, type TrackedGroup } from '../../support/disk/event-log-fixture.js';

/** Log, database and the flush between them, on a real disk, in the order of the lifecycle. */
export class FlushHouse {
  readonly options: TaskflowOptions;
  readonly telemetry = new FakeTelemetry();
  readonly lines: string[] = [];
  readonly log: EventLogService;
  readonly store: TaskStore;
  readonly flush: FlushService;
  readonly reported: FlushCursor[] = [];
  opened!: OpenedLog;
  private readonly sink: FrameSink<TrackedGroup> = new TrackingSink();

  constructor(
    readonly folder: string,
    branches: Record<string, object>,
    clock: Clock = new SystemClock(),
  ) {
    const database = { type: 'sqlite' as const, database: join(folder, 'tasks.db') };
    this.options = resolveOptions({
      repository: database,
      ...branches,
      eventLog: { eventLogPath: join(folder, 'log', 'events.log'), minFreeBytes: 0, ...branches['eventLog'] },
      flush: { worker: 'inline', ...branches['flush'] },
    });
    const [ids, fs] = [new SystemIdSource(), new NodeFileSystem()];
    const path = this.options.eventLog.eventLogPath;
    const logFolder = new LogFolder(fs, path);
    this.log = new EventLogService(this.options, clock, ids, fs);
    this.store = createTaskStore(this.options.repository, {
      clock,
      ensureFile: (each) => logFolder.createFile(each),
      sharesProcessWithLog: true,
      cursorFile: new LogCursorFile(fs, path),
      logId: () => this.log.logId,
    });
    const say = (line: unknown): void => void this.lines.push(String(line));
    const logger = new FlushLogger({ log: say, warn: say, error: say }, new DatabaseOutage(clock, { log: say, warn: say, error: say }));
    const flushers = new FlusherFactory(this.options, clock, ids, fs, logger);
    this.flush = new FlushService(this.options, clock, this.log, this.store, this.telemetry, flushers, logger);
    this.flush.onApplied((cursor) => this.reported.push(cursor));
  }

  /** The log alone, as at a start without a database. */
  async openLog(): Promise<void> {
    this.opened = await this.log.open(this.sink);
  }

  async start(): Promise<this> {
    await this.openLog();
    await this.store.open();
    const cursor = await this.store.cursor(this.opened.logId);
    checkCursor(
      this.opened,
      cursor,
      cursor === null ? undefined : await this.log.frameCrc(cursor.appliedSeq),
      this.options.eventLog.eventLogPath,
    );
    this.flush.start(this.opened, cursor);
    return this;
  }

  /** One frame per call, unless calls are made at once. Resolves when durable. */
  async append(...drafts: LogDraft[]): Promise<void> {
    const appended = group(...drafts);
    this.log.append(appended);
    const outcome = await appended.settled;
    if ('error' in outcome) throw outcome.error;
  }

  async stop(): Promise<void> {
    await this.log.close();
    await this.flush.stop();
    await this.store.close();
  }

  /** What the log says of every task: the truth that rows are compared with. */
  async foldedLog(): Promise<{ states: Map<string, TaskState | null>; entries: Map<string, LogEntry[]> }> {
    const states = new Map<string, TaskState | null>();
    const entries = new Map<string, LogEntry[]>();
    for await (const frame of this.log.scan(1)) {
      for (const entry of frame.entries) {
        states.set(entry.taskId, fold(states.get(entry.taskId) ?? null, entry, this.opened.logId));
        if (entry.type === 'pruned') entries.delete(entry.taskId);
        else if (!isControl(entry.type)) entries.set(entry.taskId, [...(entries.get(entry.taskId) ?? []), entry]);
      }
    }
    return { states, entries };
  }
}

/** Drafts of one task in the order of its life. */
export class TaskScript {
  private taskSeq = 0;
  private fence = 0;
  constructor(readonly id: string) {}

  created(data: Record<string, unknown> = {}): LogDraft {
    return this.next('created', { name: 'send-email', maxAttempts: 3, timeoutMs: 60_000, input: { to: this.id }, ...data });
  }
  start(): LogDraft {
    this.fence++;
    return this.next('start', {});
  }
  progress(payload: unknown): LogDraft {
    return this.next('progress', { payload });
  }
  complete(result: unknown): LogDraft {
    return this.next('complete', { result });
  }
  pruned(): LogDraft {
    return { type: 'pruned', taskId: taskId(this.id), taskSeq: undefined, attempt: 1, fence: this.fence, body: '' };
  }

  private next(type: LogDraft['type'], data: Record<string, unknown>): LogDraft {
    this.taskSeq++;
    return { type, taskId: taskId(this.id), taskSeq: this.taskSeq, attempt: 1, fence: this.fence, body: JSON.stringify(data) };
  }
}
