import type { LoggerService } from '@nestjs/common';
import type { Clock, Timer } from '../../../contracts/clock.interface.js';

/** Who misses the database: the start, those who read, the flush. */
export type OutageSign = 'start' | 'reads' | 'flush';

const REMINDER_MS = 60_000;

/** One outage is one story in the log, whoever notices it: a warning when it begins, one a minute while it lasts, a line when it is over. */
export class DatabaseOutage {
  private readonly signs = new Set<OutageSign>();
  private reason = '';
  /** Monotonic ms. */
  private since = 0;
  private timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly logger: LoggerService,
  ) {}

  /** @param reason without values of rows. */
  away(sign: OutageSign, reason: string): void {
    this.reason = reason.replace(/\.?$/, '.');
    const isNew = this.signs.size === 0;
    this.signs.add(sign);
    if (!isNew) return;
    this.since = this.clock.monotonic();
    this.logger.warn(
      `The database is away: ${this.reason} New tasks are kept in the event log and run; rows, keys and lists wait for it. It is tried again by itself.`,
    );
    this.remind();
  }

  back(sign: OutageSign): void {
    if (!this.signs.delete(sign) || this.signs.size > 0) return;
    this.stop();
    this.logger.log(`The database is back after ${this.lastedSeconds()} s.`);
  }

  /** Nothing more is said. */
  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private remind(): void {
    this.timer = this.clock.after(REMINDER_MS, () => {
      this.logger.warn(`The database is still away, for ${this.lastedSeconds()} s now: ${this.reason}`);
      this.remind();
    });
  }

  private lastedSeconds(): number {
    return Math.round((this.clock.monotonic() - this.since) / 1000);
  }
}
