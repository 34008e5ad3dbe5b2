import type { LoggerService } from '@nestjs/common';
import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import type { DatabaseTime } from '../facts/database-time.js';
import type { ServerFunctions } from '../storage/server-functions.js';

export interface WorkClockParts {
  readonly functions: Pick<ServerFunctions, 'due'>;
  readonly clock: Clock;
  readonly time: DatabaseTime;
  readonly logger: LoggerService;
  readonly random: () => number;
  /** Between two looks without news. Unit: ms. */
  readonly pollIntervalMs: number;
  /** Told of new work by others, this node looks more rarely by itself. */
  readonly isListening: () => boolean;
  /** Tasks became ready: others may have room for them. */
  readonly hint: () => void;
}

/** Without a listener, how soon a node that found work looks again. Unit: ms. */
const BUSY_MS = 250;
/** With a listener hints bring the news. Unit: ms. */
const LISTENING_MS = 5_000;
const MAX_DUE = 1_000;
const JITTER = 0.2;
/** How late a task whose time has come may be found, where its own node did not find it. Unit: ms. */
const DUE_POLL_MS = 1_000;

/** When to look for work: at times with some jitter, when a task's time has come, and when somebody says so. */
export class WorkClock {
  private poll: Timer | undefined;
  private due: Timer | undefined;
  private dueTime = Number.POSITIVE_INFINITY;
  private look: (() => void) | undefined;
  private moving: Promise<void> | undefined;

  constructor(private readonly parts: WorkClockParts) {}

  start(look: () => void): void {
    this.look = look;
    this.pollIn(this.parts.pollIntervalMs);
    this.dueIn(0);
  }

  async stop(): Promise<void> {
    this.look = undefined;
    this.poll?.cancel();
    this.due?.cancel();
    await this.moving;
  }

  /** A claim was answered. */
  claimed(hasWork: boolean): void {
    if (this.look === undefined) return;
    if (hasWork) return this.pollIn(BUSY_MS);
    const { isListening, pollIntervalMs } = this.parts;
    this.pollIn(isListening() ? Math.max(LISTENING_MS, pollIntervalMs) : pollIntervalMs);
  }

  /** A task waits for this time of the database's clock, epoch ms. */
  dueAt(at: number): void {
    if (this.look !== undefined && at < this.dueTime) this.dueIn(at - this.parts.time.now());
  }

  private pollIn(meanMs: number): void {
    this.poll?.cancel();
    const delayMs = meanMs * (1 + JITTER * (2 * this.parts.random() - 1));
    this.poll = this.parts.clock.after(delayMs, () => {
      this.pollIn(this.parts.pollIntervalMs);
      this.look?.();
    });
  }

  private dueIn(delayMs: number): void {
    this.due?.cancel();
    const waitMs = Math.max(0, Math.min(delayMs, DUE_POLL_MS));
    this.dueTime = this.parts.time.now() + waitMs;
    this.due = this.parts.clock.after(waitMs, () => {
      this.moving ??= this.move().finally(() => (this.moving = undefined));
    });
  }

  private async move(): Promise<void> {
    let nextMs = DUE_POLL_MS;
    try {
      const { now, moved, nextAt } = await this.parts.functions.due(MAX_DUE);
      if (nextAt !== null) nextMs = nextAt - now;
      if (moved > 0) {
        this.look?.();
        this.parts.hint();
      }
    } catch (error) {
      this.parts.logger.debug?.(`Tasks whose time has come could not be moved: ${String(error)}`);
    }
    if (this.look !== undefined) this.dueIn(nextMs);
  }
}
