import type { SlotLease } from '../../../contracts/work-feed.interface.js';

/** What one node runs at once. The limits over all nodes are kept by the server, where runs are counted. */
export class NodeSlots {
  private held = 0;

  /** @param onFree a place came free. */
  constructor(
    private readonly max: number,
    private readonly onFree: () => void,
  ) {}

  get free(): number {
    return Math.max(0, this.max - this.held);
  }

  get inUse(): number {
    return this.held;
  }

  /** @param onRecovered called at most once: the run is past its recovery. */
  take(name: string, userId: string | null, onRecovered: () => void): SlotLease {
    this.held++;
    return new NodeSlot(name, userId, (by) => this.change(by), onRecovered);
  }

  private change(by: number): void {
    this.held += by;
    if (by < 0) this.onFree();
  }
}

class NodeSlot implements SlotLease {
  private isCounted = true;
  private isReleased = false;
  private isRecovering = true;

  constructor(
    readonly name: string,
    readonly userId: string | null,
    private readonly change: (by: number) => void,
    private readonly onRecovered: () => void,
  ) {}

  /** The next claim goes with the entry that ends the run: the server counts the run as gone by then. */
  lend(): void {
    if (!this.isCounted) return;
    this.isCounted = false;
    this.change(-1);
  }

  takeBack(): void {
    if (this.isCounted || this.isReleased) return;
    this.isCounted = true;
    this.change(1);
  }

  release(): void {
    this.isReleased = true;
    this.lend();
  }

  recovered(): void {
    if (!this.isRecovering) return;
    this.isRecovering = false;
    this.onRecovered();
  }
}
