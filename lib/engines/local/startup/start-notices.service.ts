import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { doubts } from '../../../config/option-doubts.js';
import { TaskflowOptions } from '../../../config/taskflow.options.js';
import { LOGGER, TASKFLOW_OPTIONS } from '../../../config/taskflow.tokens.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import { EventLogService } from '../wal/event-log.service.js';

/** What a start has to say to whoever reads its log. */
@Injectable()
export class StartNotices {
  private hasWarned = false;

  constructor(
    @Inject(TASKFLOW_OPTIONS) private readonly options: TaskflowOptions,
    @Inject(LOGGER) private readonly logger: LoggerService,
    private readonly eventLog: EventLogService,
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

  failed(error: unknown): void {
    const { eventLogPath } = this.options.eventLog;
    if (EventLogCorruptError.is(error))
      this.logger.error(
        `${error.message} What is damaged: npx taskflow log verify ${eventLogPath}. What mends it, and what that would lose: npx taskflow log repair ${eventLogPath}.`,
      );
  }

  /** Whoever waits for a task's end in a hook of the start may keep the start from coming to its end. */
  awaitedEarly(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.logger.warn(
      "A result was asked for before the application is up. Tasks run when every provider's onApplicationBootstrap is over: do not await a result in a hook or a factory.",
    );
  }
}
