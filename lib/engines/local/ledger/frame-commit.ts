import type { CommittedFrame } from '../../../contracts/event-log.interface.js';
import type { CommittedFact } from '../../../contracts/task-history.interface.js';
import { fold } from '../../../domain/fold.js';
import type { TaskState } from '../../../domain/task-state.js';
import type { FactGroup, FactPart } from './fact-group.js';
import { withoutBodies } from './overlay.js';
import type { TaskHead } from './task-head.js';

export interface AppliedFrame {
  readonly facts: readonly CommittedFact[];
  /** Of each part, in order: its head, and the task as of it; one that was pruned as it was last. */
  readonly heads: TaskHead[];
  readonly tasks: readonly TaskState[];
  /** Stream entries among them. */
  readonly addresses: number;
}

/** Folds a frame that is durable now onto the heads of its tasks, which keep where its entries lie. */
export function applyFrame(frame: CommittedFrame<FactGroup>, owner: string, logId: string): AppliedFrame {
  const facts: CommittedFact[] = [];
  const heads: TaskHead[] = [];
  const tasks: TaskState[] = [];
  let index = 0;
  let addresses = 0;
  const apply = ({ head, facts: own }: FactPart, at: number): void => {
    let task = head.durable;
    for (const fact of own) {
      fact.at = at;
      fact.owner = owner;
      const after = fold(head.durable, fact, logId);
      const logSeq = frame.firstSeq + index;
      head.become(after === null ? null : withoutBodies(after), logSeq);
      if (fact.taskSeq !== undefined) {
        head.remember(fact.taskSeq, logSeq, frame.segment, frame.offsets[index]!, frame.lengths[index]!);
        addresses++;
      }
      task = after ?? task;
      if (task !== null) facts.push({ task, entry: fact });
      index++;
    }
    heads.push(head);
    tasks.push(task!);
  };
  for (const group of frame.groups) {
    const at = Math.max(frame.at, group.notBefore);
    apply(group, at);
    if (group.others !== undefined) for (const part of group.others) apply(part, at);
  }
  return { facts, heads, tasks, addresses };
}
