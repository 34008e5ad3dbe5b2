import type { Clock } from '../../../contracts/clock.interface.js';
import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { SlotLease } from '../../../contracts/work-feed.interface.js';
import type { WaitingTallies } from '../../../contracts/waiting-tally.interface.js';
import type { ClaimedWork, WorkItem, WorkSource } from './work-source.interface.js';
import type { ExecutionSlots } from '../../../guard/execution-slots.js';
import { ClaimedItems, SUPERSEDED } from './claimed-items.js';
import { DueItems } from './due-items.js';
import { LaneRing } from './lane-ring.js';
import { LaneTable } from './lane-table.js';
import { type Lane, RECOVERING, SUSPECT } from './lane.js';
import { NIL, QueueColumns } from './queue-columns.js';
import { QueueCounts } from './queue-counts.js';
import { nextOf } from './read-ahead.js';
import { QueueLease, RecoveryPhases } from './recovery-phases.js';
import { TaskIdIndex } from './task-id-index.js';
import { wordsOf } from '../../../primitives/uuid-words.js';

/** Tasks whose time came are let in this many per tick, so that a million alarms at midnight do not stop the event loop. */
const DUE_PER_TICK = 10_000;

/**
 * The work source of one process: everything that waits, in typed columns, about 90 bytes a task with its id; inputs stay in the log.
 * Fair: round-robin over (user, handler) pairs with runnable tasks; priority within a user. A pair at a limit costs nothing.
 */
export class FairQueue implements WorkSource {
  private readonly columns = new QueueColumns();
  private readonly index = new TaskIdIndex(this.columns);
  private readonly ring = new LaneRing(this.columns);
  private readonly claimed = new ClaimedItems();
  private readonly listeners: (() => void)[] = [];
  private readonly words = new Uint32Array(4);
  private readonly phases: RecoveryPhases;
  private readonly table: LaneTable;
  private readonly due: DueItems;
  private readonly counts: QueueCounts;
  private lastOrder = 0;

  constructor(
    private readonly slots: ExecutionSlots,
    /** `maxConcurrentRecoveries`: runs at once that are in their recovery phase. */
    options: { readonly maxConcurrentRecoveries: number },
    clock: Clock,
    waiting: WaitingTallies,
  ) {
    this.phases = new RecoveryPhases(options.maxConcurrentRecoveries);
    this.table = new LaneTable(this.columns, slots, this.phases);
    this.due = new DueItems(this.columns, clock);
    this.counts = new QueueCounts(this.columns, waiting);
    slots.contend({
      released: (name, userId) => this.released(name, userId),
      isClaimable: () => this.isClaimable(),
      notify: () => this.notify(),
    });
  }

  get size(): WorkSource['size'] {
    return this.counts.size;
  }

  /** A task that waits already is moved: the newer offer counts. @throws TypeError when the id is not a UUID. */
  offer(item: WorkItem): void {
    const known = this.slotOf(item.taskId); // its words are at hand from here on
    if (known !== NIL) this.remove(known);
    this.claimed.supersede(item.taskId);
    const lane = this.table.lane(item.userId, item.name, (item.recovering ? RECOVERING : 0) | (item.suspect ? SUSPECT : 0));
    const slot = this.columns.allocate();
    this.columns.setWords(slot, this.words);
    this.lastOrder = Math.max(this.lastOrder, item.order);
    this.columns.setNumbers(slot, item.isNew === true ? this.lastOrder : item.order, item.priority, item.runAt, item.notBefore);
    this.columns.setLane(slot, lane.id);
    this.columns.setAddress(slot, item.created);
    this.index.insert(slot);
    lane.total += 1;
    if (this.due.add(slot)) return this.counts.timed(lane, 1);
    this.makeReady(lane, slot);
    this.notify();
  }

  knows(taskId: TaskId): boolean {
    return this.slotOf(taskId) !== NIL || this.claimed.has(taskId);
  }

  withdraw(taskId: TaskId): boolean {
    const slot = this.slotOf(taskId);
    if (slot === NIL) return false;
    this.remove(slot);
    return true;
  }

  claim(limit: number): ClaimedWork[] {
    const work: ClaimedWork[] = [];
    while (work.length < limit && this.slots.freeGlobal() > 0) {
      const lane = this.ring.next();
      if (lane === null) break;
      const slot = this.slots.tryAcquire(lane.handler.name, lane.user.userId);
      // Its gates said there is room: they read the same counts.
      if (slot === null) throw new Error(`No slot for "${lane.handler.name}" behind open gates.`);
      work.push(this.take(lane, slot));
    }
    this.slots.serveWaiters();
    return work;
  }

  /**
   * As `WorkSource.putBack`: restores the task's old position, which is the front of its lane. Call it while the slot is held, or right
   * after releasing it. Does nothing when the task was offered again in between, because then it waits already or was withdrawn.
   * @throws Error when the task was not claimed here.
   */
  putBack(taskId: TaskId, notBefore: number): void {
    const item = this.claimed.take(taskId);
    if (item === SUPERSEDED) return;
    if (item === undefined) throw new Error(`Task ${taskId} cannot be put back: it is not claimed from this queue.`);
    this.offer({ ...item, notBefore });
  }

  onWork(listener: () => void): void {
    this.listeners.push(listener);
  }

  define(name: string): void {
    const handler = this.table.handler(name);
    if (handler.isDefined) return;
    handler.isDefined = true;
    this.counts.unparked(this.table.lanesOf(handler));
    this.ring.wake(handler.gate);
    this.notify();
  }

  /** Lets in tasks whose time has come. The owner calls it each `tickIntervalMs`. */
  tick(): void {
    let isLater = false;
    for (let count = 0; count < DUE_PER_TICK; count += 1) {
      const slot = this.due.takeDue();
      if (slot === undefined) break;
      const lane = this.table.byId(this.columns.lane(slot));
      this.counts.timed(lane, -1);
      this.makeReady(lane, slot);
      isLater = true;
    }
    if (isLater) this.notify();
  }

  /**
   * A slot for a task that is submitted just now; null: it has to queue, for want of a slot or because runnable work that could take
   * the slot waits already.
   */
  reserve(name: string, userId: string | null): SlotLease | null {
    return this.slots.hasRoom(name, userId) && !this.isClaimable() ? this.slots.tryAcquire(name, userId) : null;
  }

  /** Tasks that are likely to be claimed next, best effort: the first of each lane in turn, then the second ones. For reading ahead. */
  peek(limit: number): TaskId[] {
    return nextOf(this.ring, this.table, limit).map((slot) => this.columns.id(slot));
  }

  createdOf(taskId: TaskId): EntryAddress | undefined {
    const slot = this.slotOf(taskId);
    return slot === NIL ? undefined : this.columns.address(slot);
  }

  private released(name: string, userId: string | null): void {
    for (const gate of this.table.gatesOf(name, userId)) this.ring.wake(gate);
    this.wakePhases();
  }

  private isClaimable(): boolean {
    return this.slots.freeGlobal() > 0 && this.ring.next() !== null;
  }

  /** Says that there is work, when there may be. */
  private notify(): void {
    if (this.ring.first !== null && this.slots.freeGlobal() > 0) for (const listener of this.listeners) listener();
  }

  private take(lane: Lane, held: SlotLease): ClaimedWork {
    const slot = lane.head;
    const taskId = this.columns.id(slot);
    const { name } = lane.handler;
    const { userId } = lane.user;
    const lease: QueueLease = new QueueLease(held, lane.kind, this.phases, this.leaseEnded);
    this.claimed.add(lease, {
      taskId,
      name,
      userId,
      priority: this.columns.priority(slot),
      order: this.columns.order(slot),
      runAt: 0,
      notBefore: 0,
      recovering: (lane.kind & RECOVERING) !== 0,
      suspect: (lane.kind & SUSPECT) !== 0,
    });
    this.unready(lane, slot);
    this.ring.used(lane);
    this.forget(lane, slot);
    return { taskId, name, userId, slot: lease };
  }

  private readonly leaseEnded = (lease: QueueLease, isReleased: boolean): void => {
    if (isReleased) return this.claimed.released(lease); // the slots wake the rest
    this.wakePhases();
    this.notify();
  };

  private wakePhases(): void {
    this.ring.wake(this.phases.recovering);
    this.ring.wake(this.phases.suspects);
  }

  private makeReady(lane: Lane, slot: number): void {
    lane.push(slot);
    this.counts.ready(lane, slot, 1);
    if (lane.list === null) this.ring.enter(lane);
  }

  private remove(slot: number): void {
    const lane = this.table.byId(this.columns.lane(slot));
    if (this.due.holds(slot)) {
      this.due.remove(slot);
      this.counts.timed(lane, -1);
    } else {
      this.unready(lane, slot);
      if (lane.ready === 0) this.ring.leave(lane);
    }
    this.forget(lane, slot);
  }

  private unready(lane: Lane, slot: number): void {
    lane.remove(slot);
    this.counts.ready(lane, slot, -1);
  }

  private forget(lane: Lane, slot: number): void {
    this.index.remove(slot);
    this.columns.free(slot);
    this.table.left(lane);
  }

  private slotOf(taskId: TaskId): number {
    wordsOf(taskId, this.words);
    return this.index.find(this.words);
  }
}
