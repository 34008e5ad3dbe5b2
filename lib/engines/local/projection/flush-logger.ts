import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { LOGGER } from '../../../config/taskflow.tokens.js';
import type { FlushNotice } from './flush-notice.js';
import { failureReason } from './failure-reason.js';

/** What flushing tells its operator: changes only, one line each, without user ids, keys and payloads. */
@Injectable()
export class FlushLogger {
  constructor(@Inject(LOGGER) private readonly logger: LoggerService) {}

  databaseAway(reason: string | undefined): void {
    this.logger.warn(`The database takes no batches: ${reason}. Entries stay in the log and are tried again.`);
  }

  databaseBack(): void {
    this.logger.log('The database takes batches again.');
  }

  workerLost(how: string, inMs: number): void {
    this.logger.warn(`The flush worker ended (${how}); another one follows in ${Math.round(inMs)} ms. Nothing is lost.`);
  }

  noticed(notice: FlushNotice): void {
    if (notice.kind === 'key-conflict') {
      this.logger.warn(
        `Task ${notice.taskId} has no key in the database: task ${notice.holder}, which another home flushed first, has it.`,
      );
    } else {
      this.logger.error(
        `Task ${notice.taskId}: ${notice.entries} entries were set aside in taskflow_dead_entries (${notice.reason}). Once the cause is gone: npx taskflow log retry-dead`,
      );
    }
  }

  halted(error: Error): void {
    this.logger.error(`Flushing ended for good: ${error.message}`);
  }

  notRetained(error: unknown): void {
    this.logger.warn(`Old segments of the event log were not deleted: ${failureReason(error)}.`);
  }

  notCounted(error: unknown): void {
    this.logger.warn(`Entries set aside could not be counted: ${failureReason(error)}.`);
  }
}
