import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { WorkSize } from '../../../contracts/work-feed.interface.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import type { Member } from '../storage/server-functions.js';
import type { QueueSizes as Sizes } from '../storage/cluster-reads.js';

export interface QueueSizesParts {
  readonly read: (handlers: readonly string[]) => Promise<Sizes>;
  readonly members: () => readonly Member[];
  readonly clock: Clock;
  readonly logger: LoggerService;
}

const COUNT_MS = 2_000;

/** What waits and runs over all nodes, counted now and then: for statistics, and for bounds that are too large to be counted at each submit. */
export class QueueSizes {
  private last: Sizes = { ready: 0, delayed: 0, runs: 0, parked: 0 };
  /** Submits of this node since the last count. */
  private added = 0;
  private readonly loop: InterruptibleLoop;

  constructor(private readonly parts: QueueSizesParts) {
    const { clock, logger } = parts;
    const onError = (error: unknown): void => logger.debug?.(`The queue could not be counted: ${String(error)}`);
    this.loop = new InterruptibleLoop(clock, { intervalMs: COUNT_MS, turn: () => this.count(), onError });
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  submitted(): void {
    this.added++;
  }

  get work(): WorkSize {
    const { ready, delayed, parked } = this.last;
    return { queued: ready, delayed, parked };
  }

  /** @param more tasks that are about to come. */
  hasRoom(more: number, isDelayed: boolean, max: number): boolean {
    return more === 0 || (isDelayed ? this.last.delayed : this.last.ready) + this.added + more <= max;
  }

  get running(): number {
    return this.last.runs;
  }

  private async count(): Promise<void> {
    const before = this.added;
    const handlers = new Set(this.parts.members().flatMap((member) => member.handlers));
    this.last = await this.parts.read([...handlers]);
    this.added -= before;
  }
}
