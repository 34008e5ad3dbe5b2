import type { EventLogOptions } from '../../../config/event-log.options.js';
import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { FrameSink, LogGroup } from '../../../contracts/event-log.interface.js';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { BlockCache } from './block-cache.js';
import { EntryReader } from './entry-reader.js';
import { type CommitterHooks, GroupCommitter } from './group-committer.js';
import { LogFolder } from './log-folder.js';
import { LogLock, type LockWait } from './log-lock.js';
import { LogTenure } from './log-tenure.js';
import { LogRecovery, type RecoveredLog } from './log-recovery.js';
import { SegmentCatalog } from './segment-catalog.js';
import { SegmentDescriptors } from './segment-descriptors.js';
import { SegmentRetention } from './segment-retention.js';
import { SegmentWriter } from './segment-writer.js';
import type { Segment } from './segment.js';
import { SpaceWatch } from './space-watch.js';
import { failpoint } from '../../../primitives/failpoint.js';

export interface LogParts {
  readonly fs: LogFileSystem;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly options: EventLogOptions;
}

/** An open log: locked, recovered, ready to take entries. */
export class RunningLog {
  readonly reader: EntryReader;
  readonly retention: SegmentRetention;
  readonly space: SpaceWatch;
  readonly tenure: LogTenure;
  readonly committer: GroupCommitter<LogGroup>;
  private readonly descriptors: SegmentDescriptors;
  private readonly writer: SegmentWriter;

  constructor(
    parts: LogParts,
    readonly folder: LogFolder,
    private readonly lock: LogLock,
    readonly catalog: SegmentCatalog,
    readonly recovered: RecoveredLog,
    readonly owner: string,
    sink: FrameSink,
    hooks: CommitterHooks,
  ) {
    const { fs, clock, options } = parts;
    this.descriptors = new SegmentDescriptors(fs, folder);
    this.reader = new EntryReader(folder, catalog, new BlockCache(fs, folder, this.descriptors));
    this.retention = new SegmentRetention(fs, folder, catalog, this.descriptors, options.retentionCount);
    this.tenure = new LogTenure(lock);
    this.writer = new SegmentWriter(fs, folder, catalog, clock, options, recovered.logId, recovered.file, lock);
    this.space = new SpaceWatch(fs, folder, catalog, clock, options, () => {
      hooks.changed();
      this.committer.wake();
    });
    this.committer = new GroupCommitter(this.writer, this.space, lock, clock, owner, sink, hooks);
  }

  /** The one that takes the writes. */
  get segment(): Segment {
    return this.writer.segment;
  }

  /** What waits is committed, the file sealed, the lock given up. After a failure nothing is written or synced any more. */
  async close(): Promise<void> {
    this.space.stop();
    await this.committer.drain();
    await this.retention.settled();
    failpoint('shutdown.before-seal');
    if (this.committer.state !== 'failed') await this.writer.finish().catch(() => undefined); // without a seal the next open writes one
    failpoint('shutdown.after-seal');
    await this.writer.release();
    await this.descriptors.closeAll();
    await this.tenure.end();
    await this.lock.release();
    failpoint('shutdown.unlocked');
  }
}

export async function openLog(parts: LogParts, sink: FrameSink, hooks: CommitterHooks & LockWait): Promise<RunningLog> {
  const { fs, clock, ids, options } = parts;
  const folder = new LogFolder(fs, options.eventLogPath);
  await folder.prepare();
  const lock = new LogLock(fs, folder, clock, ids);
  const chance = ids.uuid().slice(-8);
  const since = new Date(clock.now()).toISOString();
  await lock.acquire(options.lockTimeoutMs, () => ({ pid: process.pid, owner: chance, since }), hooks);
  try {
    const catalog = new SegmentCatalog();
    const recovered = await new LogRecovery(fs, folder, catalog).run(() => ids.uuid());
    // The generation makes it unique in this log, whatever chance gave.
    const log = new RunningLog(parts, folder, lock, catalog, recovered, `${recovered.gen}-${chance}`, sink, hooks);
    await log.space.start();
    return log;
  } catch (error) {
    await lock.release();
    throw error;
  }
}
