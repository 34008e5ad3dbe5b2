import type { TaskId } from '../../../contracts/ids.js';
import { changed, type TaskState } from '../../../domain/task-state.js';
import type { WorkKind } from '../storage/apply-call.interface.js';

/** A run of this node: the task as of its last entry, without bodies, and how it counts in the queue. */
export interface OwnHead {
  task: TaskState;
  kind: WorkKind;
}

/** The runs of this node, from the durable start to the durable end. Nobody else numbers their entries; others only ask for their end. */
export class OwnRuns {
  private readonly heads = new Map<TaskId, OwnHead>();

  get size(): number {
    return this.heads.size;
  }

  get(id: TaskId): OwnHead | undefined {
    return this.heads.get(id);
  }

  began(task: TaskState, kind: WorkKind): void {
    this.heads.set(task.id, { task: withoutBodies(task), kind });
  }

  /** It is as `task` says now. A run that has ended, or that somebody else has, is none of this node. */
  changed(task: TaskState): void {
    const head = this.heads.get(task.id);
    if (head === undefined) return;
    if (task.status === 'running' && task.fence === head.task.fence) head.task = withoutBodies(task);
    else this.heads.delete(task.id);
  }

  ended(id: TaskId): void {
    this.heads.delete(id);
  }

  all(): readonly OwnHead[] {
    return [...this.heads.values()];
  }

  clear(): void {
    this.heads.clear();
  }
}

const withoutBodies = (task: TaskState): TaskState =>
  task.input === undefined && task.result === undefined ? task : changed(task, { input: undefined, result: undefined });
