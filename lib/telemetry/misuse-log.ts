import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { LOGGER } from '../config/taskflow.tokens.js';
import { type Owner, ownerOf } from '../domain/owner.js';
import { ValidationError } from '../errors/request.errors.js';

/** Where the text goes that a caller is not told, since only the application's own code can be at fault. */
@Injectable()
export class MisuseLog {
  constructor(@Inject(LOGGER) private readonly logger: LoggerService) {}

  /** `ownerOf`, logged. @throws ValidationError. */
  ownerOf(options: unknown, names?: readonly string[]): Owner {
    try {
      return ownerOf(options, names);
    } catch (error) {
      throw this.seen(error);
    }
  }

  /** Logs the error if it is one of those. @returns the error, to be thrown on. */
  seen(error: unknown): unknown {
    if (ValidationError.is(error) && error.getStatus() >= 500)
      this.logger.error(
        `A call of the task system was refused, and its caller answered 500, since the application's code must be mended: ${error.message}.`,
        error.stack,
      );
    return error;
  }
}
