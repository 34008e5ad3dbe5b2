import type { SlotLease } from '../../../contracts/work-feed.interface.js';
import { Gate } from './lane-gate.js';
import { type Lane, RECOVERING, SUSPECT } from './lane.js';

/** Runs after a crash: a few at a time while they recover, and those that crashed repeatedly one at a time to their end. */
export class RecoveryPhases {
  readonly recovering: Gate<Lane>;
  readonly suspects = new Gate<Lane>(() => 1 - this.suspectRuns);
  private recoveringRuns = 0;
  private suspectRuns = 0;

  constructor(maxConcurrentRecoveries: number) {
    this.recovering = new Gate<Lane>(() => maxConcurrentRecoveries - this.recoveringRuns);
  }

  begin(kind: number): void {
    if ((kind & RECOVERING) !== 0) this.recoveringRuns += 1;
    if ((kind & SUSPECT) !== 0) this.suspectRuns += 1;
  }

  end(kind: number): void {
    if ((kind & RECOVERING) !== 0) this.recoveringRuns -= 1;
    if ((kind & SUSPECT) !== 0) this.suspectRuns -= 1;
  }
}

/** The slot of a claimed task, with the phases that it is in. */
export class QueueLease implements SlotLease {
  private isHeld = true;

  constructor(
    private readonly slot: SlotLease,
    private kind: number,
    private readonly phases: RecoveryPhases,
    private readonly ended: (lease: QueueLease, isReleased: boolean) => void,
  ) {
    phases.begin(kind);
  }

  get userId(): string | null {
    return this.slot.userId;
  }
  get name(): string {
    return this.slot.name;
  }

  recovered(): void {
    if ((this.kind & RECOVERING) === 0) return;
    this.phases.end(RECOVERING);
    this.kind &= ~RECOVERING;
    this.ended(this, false);
  }

  lend(): void {
    // One that crashed repeatedly keeps its place to its very end: the next one must not die with it.
    if ((this.kind & SUSPECT) === 0) this.slot.lend();
  }

  takeBack(): void {
    this.slot.takeBack();
  }

  release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.phases.end(this.kind);
    this.kind = 0;
    this.ended(this, true);
    this.slot.release();
  }
}
