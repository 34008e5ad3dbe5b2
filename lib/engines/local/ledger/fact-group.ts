import type { LogGroup } from '../../../contracts/event-log.interface.js';
import type { FactOutcome } from '../../../contracts/fact-port.interface.js';
import { EventLogError } from '../../../errors/storage.errors.js';
import type { Fact } from '../../../domain/fact.js';
import type { TaskHead } from './task-head.js';

/** The drafts of one task on their way to the disk. */
export interface FactPart {
  readonly head: TaskHead;
  readonly facts: readonly Fact[];
  readonly resolve: (outcome: FactOutcome) => void;
}

/** What is in one frame or in none, with everyone who waits for it: nearly always one task's drafts, so the group is its own first part. */
export class FactGroup implements LogGroup, FactPart {
  /** @param drafts those of all parts, in order. @param others parts of other tasks. */
  constructor(
    readonly drafts: readonly Fact[],
    readonly facts: readonly Fact[],
    readonly head: TaskHead,
    readonly resolve: (outcome: FactOutcome) => void,
    readonly reject: (error: EventLogError) => void,
    readonly others?: readonly FactPart[],
  ) {}

  /** What came before, also in the frame before this one: the clock may have been set back, or a task's last machine been ahead of this one. */
  get notBefore(): number {
    const own = this.head.durable?.lastEventAt ?? 0;
    if (this.others === undefined) return own;
    return Math.max(own, ...this.others.map(({ head }) => head.durable?.lastEventAt ?? 0));
  }
}

export function eachPart(groups: readonly FactGroup[], visit: (part: FactPart) => void): void {
  for (const group of groups) {
    visit(group);
    if (group.others !== undefined) for (const part of group.others) visit(part);
  }
}

/**
 * Rejects groups that were refused, and what waits behind them: entries of the same tasks build on what was refused.
 * @param withdraw takes waiting groups back. @returns every head that lost an entry.
 */
export function rejectAll(
  groups: readonly FactGroup[],
  error: EventLogError,
  withdraw: (match: (group: FactGroup) => boolean) => FactGroup[],
): Set<TaskHead> {
  const heads = headsOf(groups);
  const behind: FactGroup[] = [];
  // A group of several tasks takes the later entries of all of them with it.
  for (let more = withdraw((group) => touches(group, heads)); more.length > 0; more = withdraw((group) => touches(group, heads))) {
    behind.push(...more);
    for (const head of headsOf(more)) heads.add(head);
  }
  // What waited behind was never written, whatever became of the frame before it.
  const none =
    error.outcome === 'none'
      ? error
      : new EventLogError(error.state, 'none', 'An earlier entry of this task was refused.', { cause: error });
  for (const group of groups) group.reject(error);
  for (const group of behind) group.reject(none);
  const lost = ({ head }: FactPart): void => void head.inFlight--;
  eachPart(groups, lost);
  eachPart(behind, lost);
  return heads;
}

function headsOf(groups: readonly FactGroup[]): Set<TaskHead> {
  const heads = new Set<TaskHead>();
  eachPart(groups, ({ head }) => heads.add(head));
  return heads;
}

const touches = (group: FactGroup, heads: ReadonlySet<TaskHead>): boolean =>
  heads.has(group.head) || (group.others?.some(({ head }) => heads.has(head)) ?? false);
