import type { Lane } from './lane.js';
import { type Gate, LinkedList } from './lane-gate.js';
import type { QueueColumns } from './queue-columns.js';

/**
 * Whose turn it is. Lanes with runnable tasks go round; one that meets a closed gate leaves the ring and waits there, and a permit
 * that comes free calls back as many lanes as it lets through. So a release costs the same whether ten lanes wait or a million.
 *
 * Invariant between calls: if a limit has N free permits and lanes are waiting for it, at least N of its lanes are in the ring.
 */
export class LaneRing {
  private readonly ring = new LinkedList<Lane>();

  constructor(private readonly columns: QueueColumns) {}

  get first(): Lane | null {
    return this.ring.first;
  }

  /** A lane got its first runnable task. */
  enter(lane: Lane): void {
    const closed = closedGate(lane);
    if (closed !== undefined) closed.waiting.push(lane);
    else this.add(lane);
  }

  /** A lane lost its last runnable task. */
  leave(lane: Lane): void {
    const wasInRing = lane.list === this.ring;
    this.detach(lane);
    if (wasInRing) for (const gate of lane.gates) this.wake(gate);
  }

  /** Permits of a gate came free. */
  wake(gate: Gate<Lane>): void {
    for (let lane = gate.waiting.first; lane !== null && gate.inRing < gate.free(); lane = gate.waiting.first) {
      gate.waiting.remove(lane);
      this.add(lane);
    }
  }

  /** The lane whose first task is to be taken next; null: none can be. */
  next(): Lane | null {
    for (let token = this.ring.first; token !== null; token = this.ring.first) {
      const lane = this.choose(token);
      if (lane !== null) return lane;
    }
    return null;
  }

  /**
   * The turn at the head of the ring was used, to take a task of `lane`; permits are counted already. The pair whose turn it was goes
   * to the back, with all its lanes: a pair has one turn in each round.
   */
  used(lane: Lane): void {
    const token = this.ring.first;
    if (token !== null) {
      for (const other of token.user.lanes) {
        if (other.handler !== token.handler || other.list !== this.ring) continue;
        this.ring.remove(other);
        this.ring.push(other);
      }
    }
    if (lane.ready === 0) this.leave(lane);
  }

  /**
   * A turn belongs to a pair, but within a user priority comes first: of all the user's lanes that are free to go the one with the
   * lowest priority is served, and only among equals the one whose turn it is, then the older task.
   */
  private choose(token: Lane): Lane | null {
    const { user } = token;
    if (user.gate.free() <= 0) {
      this.park(token, user.gate);
      return null;
    }
    let best: Lane | null = null;
    for (const lane of user.lanes) {
      if (lane.ready === 0 || (lane.list !== this.ring && lane.list !== user.gate.waiting)) continue;
      const closed = closedGate(lane);
      if (closed !== undefined) this.park(lane, closed);
      else if (best === null || this.isPreferred(lane, best, token)) best = lane;
    }
    return best;
  }

  private isPreferred(lane: Lane, best: Lane, token: Lane): boolean {
    const byPriority = this.columns.priority(lane.head) - this.columns.priority(best.head);
    if (byPriority !== 0) return byPriority < 0;
    const isTokens = lane.handler === token.handler;
    if (isTokens !== (best.handler === token.handler)) return isTokens;
    return this.columns.order(lane.head) < this.columns.order(best.head);
  }

  private park(lane: Lane, gate: Gate<Lane>): void {
    const wasInRing = lane.list === this.ring;
    this.detach(lane);
    gate.waiting.push(lane);
    // It gave up its place at its other gates: somebody else may have it.
    if (wasInRing) for (const other of lane.gates) if (other !== gate) this.wake(other);
  }

  private add(lane: Lane): void {
    this.ring.push(lane);
    for (const gate of lane.gates) gate.inRing += 1;
  }

  private detach(lane: Lane): void {
    if (lane.list === this.ring) for (const gate of lane.gates) gate.inRing -= 1;
    lane.list?.remove(lane);
  }
}

function closedGate(lane: Lane): Gate<Lane> | undefined {
  for (const gate of lane.gates) if (gate.free() <= 0) return gate;
  return undefined;
}
