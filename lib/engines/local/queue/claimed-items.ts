import type { TaskId } from '../../../contracts/ids.js';
import type { SlotLease } from '../../../contracts/work-feed.interface.js';
import type { WorkItem } from './work-source.interface.js';

/** It was offered anew since it was claimed: whatever became of that offer counts, and what was claimed has no way back. */
export const SUPERSEDED = Symbol('superseded');

interface Claim {
  readonly lease: SlotLease;
  item: WorkItem | typeof SUPERSEDED;
}

/** What was claimed, as long as it may come back: until its slot is released and then another one. */
export class ClaimedItems {
  private readonly byTask = new Map<TaskId, Claim>();
  private readonly byLease = new Map<SlotLease, TaskId>();
  private lastReleased: WorkItem | undefined;

  add(lease: SlotLease, item: WorkItem): void {
    this.byTask.set(item.taskId, { lease, item });
    this.byLease.set(lease, item.taskId);
  }

  /** True while its slot is held. */
  has(taskId: TaskId): boolean {
    return this.byTask.has(taskId);
  }

  /** Undefined: not claimed here. */
  take(taskId: TaskId): WorkItem | typeof SUPERSEDED | undefined {
    const claim = this.byTask.get(taskId);
    if (claim === undefined) {
      const item = this.lastReleased?.taskId === taskId ? this.lastReleased : undefined;
      if (item !== undefined) this.lastReleased = undefined;
      return item;
    }
    const { item } = claim;
    if (item !== SUPERSEDED) this.forget(claim);
    return item;
  }

  supersede(taskId: TaskId): void {
    const claim = this.byTask.get(taskId);
    if (claim !== undefined) claim.item = SUPERSEDED;
    if (this.lastReleased?.taskId === taskId) this.lastReleased = undefined;
  }

  released(lease: SlotLease): void {
    const taskId = this.byLease.get(lease);
    if (taskId === undefined) return;
    this.byLease.delete(lease);
    const claim = this.byTask.get(taskId);
    if (claim?.lease !== lease) return; // claimed again since
    this.byTask.delete(taskId);
    this.lastReleased = claim.item === SUPERSEDED ? undefined : claim.item;
  }

  private forget({ lease }: Claim): void {
    const taskId = this.byLease.get(lease);
    this.byLease.delete(lease);
    if (taskId !== undefined) this.byTask.delete(taskId);
  }
}
