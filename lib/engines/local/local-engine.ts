import type { Degradation, DegradationName } from '../../contracts/degradation.interface.js';
import type { Engine, EngineStats } from '../../contracts/engine.interface.js';
import { EventLogError } from '../../errors/storage.errors.js';
import { DEGRADATIONS } from '../../lifecycle/degradations.js';
import { failpoint } from '../../primitives/failpoint.js';
import { type LocalParts, localParts, type LocalWorld } from './local-parts.js';
import { refusalOf } from './startup/database-catch-up.service.js';

/** One process, one log: facts are synced to a file, rows in the database follow. */
export class LocalEngine implements Engine {
  readonly name = 'local';
  readonly parts: LocalParts;
  private opening: Promise<void> | undefined;

  constructor(private readonly world: LocalWorld) {
    this.parts = localParts(world);
  }

  get facts(): Engine['facts'] {
    return this.parts.ledger;
  }
  get creator(): Engine['creator'] {
    return this.parts.creator;
  }
  get work(): Engine['work'] {
    return this.parts.work;
  }
  get queries(): Engine['queries'] {
    return this.parts.queries;
  }
  get changes(): Engine['changes'] {
    return this.parts.changes;
  }
  get liveness(): Engine['liveness'] {
    return this.parts.liveness;
  }

  degraded(): readonly Degradation[] {
    const { catchUp, log, flush, store } = this.parts;
    const names: DegradationName[] = [];
    if (log.state !== 'open') names.push(`log-${log.state}`);
    if (flush.halted !== undefined) names.push('flush-halted');
    if (flush.isWorkerDying) names.push('flush-worker-dies');
    if (flush.isRefused) names.push('database-refuses');
    if (store.isSilent) names.push('database-silent');
    if (!catchUp.isComplete) names.push('database-not-read');
    return names.map((name) => DEGRADATIONS[name]);
  }

  started(): void {
    const { notices, catchUp } = this.parts;
    notices.started(catchUp.isAllRead);
  }

  open(): Promise<void> {
    this.opening = this.openAll().catch((error: unknown) => {
      this.parts.notices.failed(error);
      throw error;
    });
    return this.opening;
  }

  async quiesce(): Promise<void> {
    const { homecoming, log, recovery, catchUp } = this.parts;
    homecoming.stop();
    log.giveUpWaiting();
    // An opening that is under way is let through: what it opened must be closed.
    await this.opening?.catch(() => undefined);
    recovery.stop();
    await catchUp.stop();
  }

  async leave(timeoutMs: number): Promise<void> {
    const { housekeeping, flush, catchUp, homecoming } = this.parts;
    await housekeeping.stop();
    await flush.drain(timeoutMs);
    if (!catchUp.isAttached) return;
    await homecoming
      .leave()
      .catch((error: unknown) => this.world.logger.debug?.(`The database was not told of the end: ${messageOf(error)}`));
  }

  async close(): Promise<void> {
    const { housekeeping, outage, flush, log, store } = this.parts;
    await housekeeping.stop();
    outage.stop();
    // The flush first: a deletion of segments must not outlive the lock.
    for (const close of [() => flush.stop(), () => log.close(), () => store.close()]) {
      await close().catch((error: unknown) => this.world.logger.warn(`Not closed cleanly: ${messageOf(error)}`));
    }
  }

  stats(): EngineStats {
    const { guard, log, overlay, flush, recovery, stale } = this.parts;
    const { state, durableSeq, unflushedBytes, segments } = log;
    return {
      guard: { rejections: guard.rejections, slotsInUse: guard.slots.inUse },
      eventLog: { state, durableSeq, unflushedBytes, segments, overlayBytes: overlay.bytes },
      flush: flush.stats(),
      leftovers: { recovered: recovery.recovered, ...recovery.ended },
      staleElsewhere: stale.stale.length,
    };
  }

  private async openAll(): Promise<void> {
    const { log, ledger, overlay, tail, flush, notices, recovery, catchUp, housekeeping } = this.parts;
    const { telemetry, readiness } = this.world;
    notices.begin();
    log.onHalted((error) => {
      if (error.state === 'failed') this.halt(error);
    });
    flush.onApplied(({ appliedSeq }) => overlay.applied(appliedSeq));
    flush.onHalted((error) => readiness.halt(refusalOf(error)));
    // The log knows no telemetry.
    telemetry.gauge('taskflow.eventlog.unflushed_bytes', () => log.unflushedBytes);
    log.onSync((ms) => telemetry.record('taskflow.eventlog.sync_ms', ms));
    const opened = await log.open(ledger);
    notices.opened();
    const cursor = await catchUp.attach(opened);
    await tail.fold(cursor === undefined ? opened.firstSeq : (cursor?.appliedSeq ?? 0) + 1);
    failpoint('recovery.after-fold');
    await recovery.recoverTail();
    await catchUp.recover();
    flush.start(opened, cursor);
    housekeeping.start();
    catchUp.start();
  }

  /** The log failed: nothing can be made durable any more. */
  private halt(error: EventLogError): void {
    const { logger, options } = this.world;
    this.parts.ledger.halted(
      new EventLogError('failed', 'none', 'The event log failed and takes no more entries, so this run ends without one.'),
    );
    logger.error(`${error.message} Running tasks were aborted; they go on when a process is started on this log, on a sound disk.`);
    if (options.eventLog.onFailure === 'exit') process.exit(1);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
