import type { LoggerService } from '@nestjs/common';
import { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock } from '../../../contracts/clock.interface.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import { Homecoming } from './homecoming.service.js';
import { RetentionService } from './retention.service.js';
import { BEAT_MS } from './signs-of-life.js';
import { StaleScan } from './stale-scan.service.js';

/** The slow loops: signs of life, stale tasks of others, retention. */
export class Housekeeping {
  private readonly loops: InterruptibleLoop[];

  constructor(
    options: TaskflowOptions,
    clock: Clock,
    private readonly logger: LoggerService,
    private readonly homecoming: Homecoming,
    private readonly stale: StaleScan,
    private readonly retention: RetentionService,
  ) {
    const loop = (name: string, intervalMs: number, turn: () => Promise<void>): InterruptibleLoop =>
      new InterruptibleLoop(clock, { intervalMs, turn, onError: (error) => this.report(name, error) });
    this.loops = [
      loop('A sign of life', BEAT_MS, () => this.homecoming.beat()),
      loop('Scan', options.recovery.scanIntervalMs, () => this.stale.scan()),
      loop('Retention', options.retention.sweepIntervalMs, async () => void (await this.retention.sweep())),
    ];
  }

  start(): void {
    for (const loop of this.loops) loop.start();
    this.loops[1]!.wake(); // what there is to count is there already
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  /** The next turn tries again; a database that is away is told of by the flush already. */
  private report(name: string, error: unknown): void {
    this.logger.debug?.(`${name} was put off: ${error instanceof Error ? error.message : String(error)}`);
  }
}
