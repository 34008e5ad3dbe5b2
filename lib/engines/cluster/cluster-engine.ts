import type { ChangeFeed } from '../../contracts/change-feed.interface.js';
import type { Degradation } from '../../contracts/degradation.interface.js';
import type { Engine, EngineStats } from '../../contracts/engine.interface.js';
import type { FactPort } from '../../contracts/fact-port.interface.js';
import type { RunLiveness } from '../../contracts/run-liveness.interface.js';
import type { TaskCreator } from '../../contracts/task-creator.interface.js';
import type { TaskQueries } from '../../contracts/task-queries.interface.js';
import type { WorkFeed } from '../../contracts/work-feed.interface.js';
import { DEGRADATIONS } from '../../lifecycle/degradations.js';
import { settleWithin } from '../../primitives/settle-within.js';
import { databaseTarget, describeTarget } from '../../repository/database-target.js';
import { type ClusterParts, clusterParts, type ClusterSurroundings } from './cluster-parts.js';

/**
 * Many nodes on one PostgreSQL. A fact is durable when its transaction is committed there; nothing is kept on this machine, and whatever
 * memory knows is only trusted as far as the database agrees.
 */
export class ClusterEngine implements Engine {
  readonly name = 'cluster';
  private isOpen = false;

  constructor(
    private readonly parts: ClusterParts,
    private readonly world: ClusterSurroundings,
  ) {
    const { membership, runs, changes } = parts;
    membership.onLost((reason) => {
      const lost = runs.all().map(({ task: { id, fence } }) => ({ taskId: id, fence }));
      runs.clear();
      changes.runsLost(lost, reason);
    });
    membership.onChange(() => parts.caller.wantClaim());
  }

  get facts(): FactPort {
    return this.parts.facts;
  }
  get creator(): TaskCreator {
    return this.parts.creator;
  }
  get work(): WorkFeed {
    return this.parts.work;
  }
  get queries(): TaskQueries {
    return this.parts.queries;
  }
  get changes(): ChangeFeed {
    return this.parts.changes;
  }
  get liveness(): RunLiveness {
    return this.parts.pulse;
  }

  degraded(): readonly Degradation[] {
    const { caller, membership } = this.parts;
    const isAway = !caller.isAnswered;
    return [...(isAway ? [DEGRADATIONS['database-away']] : []), ...(membership.mayClaim ? [] : [DEGRADATIONS['lease-lost']])];
  }

  started(): void {
    const { work, membership } = this.parts;
    const { options, logger, handlers } = this.world;
    const { queued, delayed } = work.size;
    const names = handlers.names();
    logger.warn("The engine 'cluster' is a preview: docs/cluster.md says what is shown, and what is not there yet.");
    logger.log(
      `Started. Node ${membership.me} of the cluster in ${describeTarget(databaseTarget(options.repository))}. ` +
        `Handlers: ${names.length === 0 ? 'none: no class with @TaskHandler is a provider' : names.join(', ')}. Waiting: ${queued + delayed} tasks.`,
    );
  }

  async open(): Promise<void> {
    const { storage, membership, marks, rescue, upkeep, listener, sizes } = this.parts;
    await storage.open();
    await membership.join();
    this.isOpen = true;
    listener.start();
    marks.start();
    rescue.start();
    sizes.start();
    upkeep.start();
  }

  /** Nobody counts on this node any more: it takes up nothing of others, and others know. */
  async quiesce(): Promise<void> {
    const { membership, rescue, upkeep, creator } = this.parts;
    membership.drain();
    // Who waits for a slot waits in vain from here on; what is on its way is waited for by whoever stops the creator.
    void creator.stop();
    await Promise.all([rescue.stop(), upkeep.stop()]);
  }

  /** What is pending is brought to the database; then the node gives its membership back, so that others take up what is left at once. */
  async leave(timeoutMs: number): Promise<void> {
    const { caller, membership, hints } = this.parts;
    await settleWithin(this.world.clock, timeoutMs, caller.idle());
    await settleWithin(this.world.clock, timeoutMs, membership.leave());
    hints.work();
    await hints.flush();
  }

  async close(): Promise<void> {
    this.isOpen = false;
    const { work, caller, submits, membership, marks, rescue, upkeep, sizes, follower, hints, listener, storage } = this.parts;
    work.end();
    caller.close();
    submits.close();
    follower.close();
    hints.close();
    const ends = [membership.end(), marks.stop(), rescue.stop(), upkeep.stop(), sizes.stop(), listener.stop()];
    await Promise.allSettled(ends);
    await storage.close();
  }

  stats(): EngineStats {
    const { rescue, guard, slots } = this.parts;
    return {
      guard: { rejections: guard.rejections, slotsInUse: slots.inUse },
      // Facts are committed in the database before anybody is told: there is no log of this process, and nothing is unflushed.
      eventLog: { state: this.isOpen ? 'open' : 'closed', durableSeq: 0, unflushedBytes: 0, segments: 0, overlayBytes: 0 },
      flush: { workerPid: null, appliedSeq: 0, lagMs: 0, breaker: 'closed', restarts: 0, deadEntries: 0 },
      leftovers: { recovered: rescue.recovered, failed: rescue.failed, cancelled: rescue.cancelled },
      staleElsewhere: 0,
    };
  }
}

export const createClusterEngine = (around: ClusterSurroundings): ClusterEngine => new ClusterEngine(clusterParts(around), around);
