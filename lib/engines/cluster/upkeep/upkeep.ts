import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { FactPort } from '../../../contracts/fact-port.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import { expiredDraft } from '../../../domain/expiry.js';
import type { TaskState } from '../../../domain/task-state.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import type { DatabaseTime } from '../facts/database-time.js';
import type { Membership } from '../members/membership.js';
import type { ClusterDatabase } from '../storage/cluster-database.js';
import type { ClusterReads } from '../storage/cluster-reads.js';
import { CLUSTER_HOME } from '../storage/submit-encoding.js';

export interface UpkeepParts {
  readonly database: Pick<ClusterDatabase, 'hold' | 'sweepWindows' | 'trim'>;
  readonly reads: Pick<ClusterReads, 'prunable' | 'expired'>;
  readonly facts: Pick<FactPort, 'append'>;
  readonly membership: Pick<Membership, 'me' | 'mayClaim'>;
  readonly time: DatabaseTime;
  readonly clock: Clock;
  readonly logger: LoggerService;
  readonly telemetry: Telemetry;
  readonly retention: { readonly completedTtlMs: number; readonly failedTtlMs: number; readonly sweepIntervalMs: number };
  readonly windowSizeMs: number;
  /** Keeps the tables of places small. */
  readonly vacuum: () => Promise<void>;
}

/** How often expired tasks, windows and dead rows are looked at. Unit: ms. */
const TURN_MS = 1_000;
/** Whoever holds the duty is believed to do it for so long. Unit: ms. */
const HOLD_MS = 5_000;
const VACUUM_MS = 5_000;
const BATCH = 200;
/** A task with more events is emptied in steps before it goes. */
const MAX_EVENTS = 10_000;

/** What one node does for all: ends what expired, prunes what is old, cuts what is no longer needed. */
export class Upkeep {
  /** Tasks that ended for want of a start in time. */
  expired = 0;
  private readonly loop: InterruptibleLoop;
  private sweepAt = 0;
  private vacuumAt = 0;

  constructor(private readonly parts: UpkeepParts) {
    const { clock, logger } = parts;
    const onError = (error: unknown): void => logger.debug?.(`Upkeep of the cluster was put off: ${String(error)}`);
    this.loop = new InterruptibleLoop(clock, { intervalMs: TURN_MS, turn: (signal) => this.turn(signal), onError });
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async turn(signal: AbortSignal): Promise<void> {
    const { database, membership, clock, retention, windowSizeMs, vacuum } = this.parts;
    if (!membership.mayClaim || !(await database.hold('upkeep', membership.me, HOLD_MS))) return;
    await this.expire(signal);
    const now = clock.monotonic();
    if (now >= this.vacuumAt && !signal.aborted) {
      this.vacuumAt = now + VACUUM_MS;
      await database.sweepWindows(windowSizeMs, 10_000);
      await vacuum();
    }
    if (now < this.sweepAt || signal.aborted) return;
    this.sweepAt = now + retention.sweepIntervalMs;
    await this.prune(signal);
  }

  private async expire(signal: AbortSignal): Promise<void> {
    const { reads, facts, time } = this.parts;
    while (!signal.aborted) {
      const late = await reads.expired(time.now(), BATCH);
      const outcomes = await Promise.all(late.map(({ id, expiresAt }) => facts.append([expiredDraft(id, expiresAt!)])));
      for (const outcome of outcomes) if (outcome.kind === 'applied') this.tellExpired(outcome.task);
      if (late.length < BATCH) return;
    }
  }

  private tellExpired({ name, id }: TaskState): void {
    this.expired++;
    this.parts.logger.error(`Task ${name} (${id}) failed: it had not started when it expired. It is not run, unless by tasks.retry().`);
    this.parts.telemetry.count('taskflow.tasks.failed', 1, { 'taskflow.task.name': name });
  }

  private async prune(signal: AbortSignal): Promise<void> {
    const { reads, facts, time, retention } = this.parts;
    while (!signal.aborted) {
      const now = time.now();
      const old = await reads.prunable(CLUSTER_HOME, now - retention.completedTtlMs, now - retention.failedTtlMs, BATCH);
      await Promise.all(old.map((task) => this.trimmed(task)));
      await Promise.all(
        old.map(({ id, fence, life, status }) => facts.append([{ type: 'pruned', taskId: id, expect: { status: [status], fence, life } }])),
      );
      if (old.length < BATCH) return;
    }
  }

  private async trimmed({ id, fence, lastSeq }: TaskState): Promise<void> {
    for (let left = lastSeq; left > MAX_EVENTS;) {
      const cut = await this.parts.database.trim(id, fence, lastSeq, MAX_EVENTS);
      if (cut === 0) return;
      left -= cut;
    }
  }
}
