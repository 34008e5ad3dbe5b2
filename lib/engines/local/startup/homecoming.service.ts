import type { LoggerService } from '@nestjs/common';
import { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { OpenedLog } from '../../../contracts/event-log.interface.js';
import type { FlushCursor, TaskStore, UnfinishedHome } from '../../../contracts/task-store.interface.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { EventLogService } from '../wal/event-log.service.js';
import { checkCursor } from '../projection/cursor-check.js';
import { HEARING_MS, isGone, silentAmong } from './signs-of-life.js';
import { failpoint } from '../../../primitives/failpoint.js';

/** Log and database meet: do they belong together, and does somebody's unfinished work wait for a log that is gone? */
export class Homecoming {
  private isStopped = false;

  constructor(
    private readonly options: TaskflowOptions,
    private readonly clock: Clock,
    private readonly store: TaskStore,
    private readonly logger: LoggerService,
    private readonly log: EventLogService,
  ) {}

  /**
   * Opens the database and finds this log's place in it.
   * @throws RepositoryError: `UNAVAILABLE` (call again later), `HISTORY_MISMATCH`, `UNADOPTED_HOME`, or that it is no database of ours.
   */
  async attach(log: OpenedLog): Promise<FlushCursor | null> {
    await this.store.open();
    const cursor = await this.store.cursor(log.logId);
    const mark = cursor === null || cursor.appliedSeq === 0 ? undefined : await this.log.frameCrc(cursor.appliedSeq);
    failpoint('recovery.before-cursor-check');
    checkCursor(log, cursor, mark, this.options.eventLog.eventLogPath);
    // Not only a new folder: one that was refused holds an empty log ever after.
    if (log.lastSeq === 0 && !(await this.store.isKnown(log.logId))) await this.refuseAbandoned(log);
    await this.beat();
    return cursor;
  }

  /** Says that the process of this log lives. @throws RepositoryError. */
  async beat(): Promise<void> {
    await this.store.beat(this.log.logId, this.log.owner, this.clock.now());
  }

  /** Whoever waits for others' signs of life waits no longer. */
  stop(): void {
    this.isStopped = true;
  }

  /** The process ends in order: nobody needs to wait for its next beat. @throws RepositoryError. */
  async leave(): Promise<void> {
    if (this.store.isOpen) await this.store.leave(this.log.logId, this.log.owner);
  }

  /** An empty folder beside unfinished work of a log that nobody holds: most likely the folder was lost, and the work with it. */
  private async refuseAbandoned(log: OpenedLog): Promise<void> {
    const abandoned = await this.silentHomes(log.logId);
    if (abandoned.length === 0) return;
    const { eventLogPath } = this.options.eventLog;
    const homes = abandoned.map(
      ({ home, appliedSeq, unfinished }) => `${home} (flushed up to entry ${appliedSeq}, ${unfinished} unfinished tasks)`,
    );
    throw new RepositoryError(
      'UNADOPTED_HOME',
      `The event log at ${eventLogPath} is empty, but the database has unfinished tasks of logs that no live process holds: ${homes.join('; ')}. ` +
        `If that log's folder still exists, point eventLogPath to it; if it runs elsewhere, start it there first; ` +
        `if it is lost, run: npx taskflow log adopt ${abandoned[0]!.home} ${eventLogPath} --database <file> (or --url)`,
    );
  }

  /** Homes whose process is gone. */
  private async silentHomes(home: string): Promise<readonly UnfinishedHome[]> {
    const homes = await this.store.unfinishedElsewhere(home);
    const gone = homes.filter((each) => isGone(each, this.clock.now()));
    return gone.length > 0 || homes.length === 0 ? gone : this.hearOf(homes, home);
  }

  private hearOf(homes: readonly UnfinishedHome[], home: string): Promise<readonly UnfinishedHome[]> {
    this.logger.log(
      `Other logs have unfinished tasks in this database: waiting up to ${HEARING_MS} ms for signs of life of their processes.`,
    );
    const look = async (): Promise<readonly UnfinishedHome[]> => {
      if (this.isStopped) throw new RepositoryError('UNAVAILABLE', 'The start was ended before other processes were heard of.');
      return this.store.unfinishedElsewhere(home);
    };
    return silentAmong(homes, look, this.clock);
  }
}
