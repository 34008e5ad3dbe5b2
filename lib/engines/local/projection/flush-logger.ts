import type { LoggerService } from '@nestjs/common';
import { DatabaseOutage } from '../storage/database-outage.service.js';
import type { FlushNotice, LostWorker } from './flush-notice.js';
import { failureReason } from './failure-reason.js';

/** What flushing tells its operator: changes only, one line each, without user ids, keys and payloads. */
export class FlushLogger {
  constructor(
    private readonly logger: LoggerService,
    private readonly outage: DatabaseOutage,
  ) {}

  databaseAway(reason: string | undefined): void {
    this.outage.away('flush', reason ?? 'it takes no batches.');
  }

  databaseBack(): void {
    this.outage.back('flush');
  }

  workerLost({ how, lastWords, inARow, inMs }: LostWorker): void {
    const ended = `${how}${lastWords === '' ? '' : `; it said: ${lastWords}`}`;
    const next = `another one follows in ${Math.round(inMs)} ms`;
    if (inARow < 2) this.logger.warn(`The flush worker ended (${ended}); ${next}. Nothing is lost.`);
    else
      this.logger.warn(
        `The flush worker does not work: ${inARow} in a row ended before they got anything done (${ended}); ${next}. Rows are not written meanwhile: ` +
          `entries stay in the log, and nothing is lost. With flush.worker 'inline' this process writes them itself.`,
      );
  }

  workerMissing(): void {
    this.logger.warn(
      'The file of the flush worker is not where the code is: the application was bundled. Rows are written by this process (flush.worker ' +
        "'inline'), which costs its event loop time. To have a worker, leave nestjs-taskflow out of the bundle (an external package); to keep it so, set flush.worker to 'inline'.",
    );
  }

  noticed(notice: FlushNotice): void {
    if (notice.kind === 'key-conflict') {
      this.logger.warn(
        `Task ${notice.taskId} has no key in the database: task ${notice.holder}, which another home flushed first, has it.`,
      );
    } else if (notice.kind === 'bridged') {
      this.logger.warn(
        `Task ${notice.taskId}: the log does not have ${notice.entries} of its entries any more, as after a repair. The custom repository was given ` +
          `events named taskflow.entry-lost in their places. Was it restored from a backup instead, it lacks what the log had since: restore both of the same time.`,
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
