import type { CommittedFact } from '../../../contracts/task-history.interface.js';

export type FactListener = (facts: readonly CommittedFact[]) => void;

/** Who hears of durable facts: of all that are told here, or only of those that this node made. */
export class FactNews {
  private readonly all: FactListener[] = [];
  private readonly own: FactListener[] = [];

  onCommitted(listener: FactListener): void {
    this.all.push(listener);
  }

  onMade(listener: FactListener): void {
    this.own.push(listener);
  }

  made(facts: readonly CommittedFact[]): void {
    if (facts.length === 0) return;
    for (const listener of this.all) listener(facts);
    for (const listener of this.own) listener(facts);
  }

  /** Made by other nodes. */
  heard(facts: readonly CommittedFact[]): void {
    for (const listener of this.all) listener(facts);
  }
}
