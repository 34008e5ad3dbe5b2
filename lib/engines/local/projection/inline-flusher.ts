import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { Watermark } from '../../../contracts/event-log.interface.js';
import type { Projector } from '../../../contracts/task-store.interface.js';
import { FlushLoop } from './flush-loop.js';
import type { Flusher, FlushListener, FlushLoopOptions } from './flusher.interface.js';
import type { FrameSource } from './frame-source.interface.js';
import { settleWithin } from '../../../primitives/settle-within.js';

export interface InlineFlusherParts {
  readonly source: FrameSource;
  readonly projector: Projector;
  readonly clock: Clock;
  readonly ids: Pick<IdSource, 'random'>;
}

/** The flush loop in this process: for repositories made of functions, which cannot cross to another one. */
export class InlineFlusher implements Flusher {
  readonly pid = null;
  readonly restarts = 0;
  readonly isFailing = false;
  private loop: FlushLoop | undefined;

  constructor(
    private readonly options: FlushLoopOptions,
    private readonly parts: InlineFlusherParts,
  ) {}

  start(watermark: Watermark, listener: FlushListener): void {
    this.loop = new FlushLoop(this.options, { ...this.parts, listener });
    this.loop.start(watermark);
  }

  advance(watermark: Watermark): void {
    this.loop?.advance(watermark);
  }

  flushNow(watermark: Watermark): void {
    this.loop?.flushNow(watermark);
  }

  /** A database that does not answer cannot be killed: after `timeoutMs` its call is left behind. It can only replay. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.loop !== undefined) await settleWithin(this.parts.clock, timeoutMs, this.loop.stop());
  }
}
