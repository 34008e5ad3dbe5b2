import type { ExecutionSlots } from '../../../guard/execution-slots.js';
import { Gate } from './lane-gate.js';
import { Lane, type LaneHandler, type LaneUser, RECOVERING, SUSPECT } from './lane.js';
import type { QueueColumns } from './queue-columns.js';
import type { RecoveryPhases } from './recovery-phases.js';

/** Finds the lane of a (user, handler) pair, makes it with its first task and forgets it with its last. */
export class LaneTable {
  private readonly users = new Map<string | null, LaneUser>();
  private readonly handlers = new Map<string, LaneHandler>();
  private readonly lanes: (Lane | undefined)[] = [];
  private readonly freeIds: number[] = [];

  constructor(
    private readonly columns: QueueColumns,
    private readonly slots: ExecutionSlots,
    private readonly phases: RecoveryPhases,
  ) {}

  byId(id: number): Lane {
    return this.lanes[id]!;
  }

  lane(userId: string | null, name: string, kind: number): Lane {
    const user = this.userOf(userId);
    for (const lane of user.lanes) if (lane.handler.name === name && lane.kind === kind) return lane;
    return this.open(user, this.handler(name), kind);
  }

  /** The gates that a run of this pair held a permit of, where lanes stand before them. */
  gatesOf(name: string, userId: string | null): Gate<Lane>[] {
    const gates = [this.users.get(userId)?.gate, this.handlers.get(name)?.gate];
    return gates.filter((gate) => gate !== undefined);
  }

  handler(name: string): LaneHandler {
    let handler = this.handlers.get(name);
    if (handler === undefined) {
      const made: LaneHandler = {
        name,
        // A name without a handler is a closed gate: its tasks wait there, in their order, like before any other limit.
        gate: new Gate<Lane>(() => (made.isDefined ? this.slots.freeForHandler(name) : 0)),
        isDefined: false,
        ready: 0,
        lanes: 0,
      };
      this.handlers.set(name, (handler = made));
    }
    return handler;
  }

  /** A task left the lane; the last one takes the lane with it. */
  left(lane: Lane): void {
    lane.total -= 1;
    if (lane.total === 0) this.close(lane);
  }

  private close(lane: Lane): void {
    const { user, handler } = lane;
    const last = user.lanes.pop()!;
    if (last !== lane) user.lanes[user.lanes.indexOf(lane)] = last;
    if (user.lanes.length === 0) this.users.delete(user.userId);
    handler.lanes -= 1;
    if (handler.lanes === 0 && !handler.isDefined) this.handlers.delete(handler.name);
    this.lanes[lane.id] = undefined;
    this.freeIds.push(lane.id);
  }

  /** Looks at every lane: for the one moment at which a handler becomes known. */
  *lanesOf(handler: LaneHandler): Generator<Lane> {
    if (handler.lanes > 0) for (const lane of this.lanes) if (lane?.handler === handler) yield lane;
  }

  /** Some lanes with runnable tasks, from anywhere: at most `limit`, looking at no more than `looks`. */
  *some(limit: number, looks: number): Generator<Lane> {
    let found = 0;
    for (let id = 0; id < this.lanes.length && id < looks && found < limit; id += 1) {
      const lane = this.lanes[id];
      if (lane === undefined || lane.ready === 0 || !lane.handler.isDefined) continue;
      found += 1;
      yield lane;
    }
  }

  private userOf(userId: string | null): LaneUser {
    let user = this.users.get(userId);
    if (user === undefined) {
      user = { userId, gate: new Gate<Lane>(() => this.slots.freeForUser(userId)), lanes: [] };
      this.users.set(userId, user);
    }
    return user;
  }

  private open(user: LaneUser, handler: LaneHandler, kind: number): Lane {
    const id = this.freeIds.pop() ?? this.lanes.length;
    const gates = [user.gate, handler.gate];
    if ((kind & RECOVERING) !== 0) gates.push(this.phases.recovering);
    if ((kind & SUSPECT) !== 0) gates.push(this.phases.suspects);
    const lane = new Lane(id, user, handler, kind, gates, this.columns);
    this.lanes[id] = lane;
    handler.lanes += 1;
    // Most users have one lane: a literal, as an array that grew by push holds room for 17.
    if (user.lanes.length === 0) user.lanes = [lane];
    else user.lanes.push(lane);
    return lane;
  }
}
