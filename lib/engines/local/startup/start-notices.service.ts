import { resolve } from 'node:path';
import type { LoggerService } from '@nestjs/common';
import { doubts } from '../../../config/option-doubts.js';
import { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { WorkFeed } from '../../../contracts/work-feed.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import { databaseTarget, describeTarget } from '../../../repository/database-target.js';
import { EventLogService } from '../wal/event-log.service.js';
import { RecoveryService } from './recovery.service.js';

/** Names of handlers that one line has room for. */
const NAMES_SHOWN = 20;

/** What a start has to say to whoever reads its log. */
export class StartNotices {
  constructor(
    private readonly options: TaskflowOptions,
    private readonly logger: LoggerService,
    private readonly eventLog: EventLogService,
    private readonly handlers: { names(): readonly string[] },
    private readonly recovery: RecoveryService,
    private readonly work: WorkFeed,
  ) {}

  /** Before the log is opened. */
  begin(): void {
    for (const doubt of doubts(this.options)) this.logger.warn(doubt);
    this.eventLog.onLockWait(({ directory, holder, timeoutMs }) =>
      this.logger.warn(
        `Waiting for the event log in ${directory}, up to ${timeoutMs} ms (eventLog.lockTimeoutMs): it is held by ${holder}.`,
      ),
    );
  }

  opened(): void {
    const { bytes, copy } = this.eventLog.torn;
    if (bytes > 0)
      this.logger.warn(
        `The event log ended in ${bytes} bytes of an unfinished write, which nobody was told of. They were set aside in ${copy}.`,
      );
  }

  /**
   * The application is up, and nothing runs yet.
   * @param areRowsRead whether all waiting tasks of the database were read.
   */
  started(areRowsRead: boolean): void {
    const { queued, delayed, parked } = this.work.size;
    const names = this.handlers.names();
    const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
    const handlers = names.length === 0 ? 'none: no class with @TaskHandler is a provider' : names.slice(0, NAMES_SHOWN).join(', ') + more;
    this.logger.log(
      `Started. Event log: ${resolve(this.options.eventLog.eventLogPath)}, ${filesOf(this.eventLog.segments)}. Database: ${this.database()}. ` +
        `Handlers: ${handlers}. Taken up: ${this.recovery.recovered} tasks that a crash interrupted, ${queued + delayed} that wait` +
        `${areRowsRead ? '' : ' (more may come from the database)'}${parked === 0 ? '' : `, ${parked} without a handler here`}.`,
    );
  }

  failed(error: unknown): void {
    const { eventLogPath } = this.options.eventLog;
    if (EventLogCorruptError.is(error))
      this.logger.error(
        `${error.message} What is damaged: npx taskflow log verify ${eventLogPath}. What mends it, and what that would lose: npx taskflow log repair ${eventLogPath}.`,
      );
  }

  private database(): string {
    const { repository } = this.options;
    if (repository.type !== 'custom') return describeTarget(databaseTarget(repository));
    return `a repository of yours (${(repository.repository as object | undefined)?.constructor?.name ?? 'unnamed'})`;
  }
}

const filesOf = (count: number): string => (count === 1 ? '1 file' : `${count} files`);
