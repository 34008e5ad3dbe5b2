import { EventLogOptions } from '../../../config/event-log.options.js';
import type { RepositoryOptions } from '../../../config/repository.options.js';
import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { LogGroup, OpenedLog } from '../../../contracts/event-log.interface.js';
import type { FlushCursor, Projector } from '../../../contracts/task-store.interface.js';
import type { EventLogError } from '../../../errors/storage.errors.js';
import { EventLogService } from '../wal/event-log.service.js';
import { FrameBatch } from '../projection/frame-batch.js';
import { createProjector } from '../storage/repository.factory.js';
import type { CommandContext } from '../../../cli/command.interface.js';
import { databasePorts } from './database-access.js';

const MAX_BATCH_ENTRIES = 1000;

/** A group and the promise of what became of it. */
export class AwaitedGroup implements LogGroup {
  readonly settled: Promise<void>;
  private settle!: { resolve: () => void; reject: (error: EventLogError) => void };
  constructor(readonly drafts: LogGroup['drafts']) {
    this.settled = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
  }
  committed(): void {
    this.settle.resolve();
  }
  refused(error: EventLogError): void {
    this.settle.reject(error);
  }
}

/** Opens the log as its writer for the time of `work`: locked, recovered. @throws EventLogLockedError, EventLogCorruptError. */
export async function withWriter<T>(
  context: CommandContext,
  eventLogPath: string,
  work: (log: EventLogService, opened: OpenedLog) => Promise<T>,
): Promise<T> {
  // What an operator appends is little and lifts a blockade: it may use the room that is kept free.
  const eventLog = Object.assign(new EventLogOptions(), { eventLogPath, lockTimeoutMs: 0, minFreeBytes: 0 });
  const log = new EventLogService({ eventLog } as TaskflowOptions, context.clock, context.ids, context.fs);
  try {
    const opened = await log.open<AwaitedGroup>({
      committed: ({ groups }) => groups.forEach((group) => group.committed()),
      refused: (groups, error) => groups.forEach((group) => group.refused(error)),
    });
    return await work(log, opened);
  } finally {
    await log.close();
  }
}

export interface Applied {
  readonly cursor: FlushCursor | null;
  readonly entries: number;
  readonly quarantined: number;
}

/** Carries all of the open log that is behind the cursor into the database. */
export async function applyLog(
  log: EventLogService,
  projector: Projector,
  from: FlushCursor | null,
  isWanted: (taskId: string, taskSeq: number | undefined) => boolean = () => true,
): Promise<Applied> {
  const batch = new FrameBatch(MAX_BATCH_ENTRIES);
  let [cursor, entries, quarantined] = [from, 0, 0];
  const apply = async (): Promise<void> => {
    const wanted = batch.entries.filter(({ taskId, taskSeq }) => isWanted(taskId, taskSeq));
    const outcome = await projector.apply({ logId: log.logId, entries: wanted, from: cursor, to: batch.end(log.logId, log.gen) });
    cursor = outcome.cursor;
    entries += wanted.length;
    quarantined += outcome.quarantined;
    batch.clear();
  };
  for await (const frame of log.scan((from?.appliedSeq ?? 0) + 1)) {
    if (!batch.hasRoomFor(frame)) await apply();
    batch.add(frame);
  }
  if (batch.entries.length > 0) await apply();
  return { cursor, entries, quarantined };
}

/** @param tell what cannot go on as it should have. */
export async function withProjector<T>(
  context: CommandContext,
  options: RepositoryOptions,
  tell: (line: string) => void,
  work: (projector: Projector) => Promise<T>,
): Promise<T> {
  const projector = createProjector(options, databasePorts(context), {
    keyConflict: (taskId, holder) => tell(`task ${taskId} has no key: task ${holder} has it`),
    quarantined: (taskId, entries, reason) => tell(`task ${taskId}: ${entries} entries set aside (${reason})`),
    bridged: (taskId, entries) => tell(`task ${taskId}: ${entries} entries are not in the log any more`),
  });
  try {
    await projector.open();
    return await work(projector);
  } finally {
    await projector.close();
  }
}
