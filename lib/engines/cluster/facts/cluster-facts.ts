import type { CancelRequest, FactDraft, FactOutcome, FactPort, FactsOutcome } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { EntryType } from '../../../contracts/task-event.interface.js';
import type { TaskState } from '../../../domain/task-state.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import type { DatabaseTime } from './database-time.js';
import { FactNews } from './fact-news.js';
import { KeyedTurns } from './keyed-turns.js';
import type { OwnRuns } from './own-runs.js';
import { committedFacts, type PlannedMove, plannedMove } from './planned-move.js';
import type { StepCaller } from './step-caller.js';

export interface FactParts {
  readonly caller: StepCaller;
  readonly runs: OwnRuns;
  readonly news: FactNews;
  readonly time: DatabaseTime;
  /** Incarnation of this node. */
  readonly me: () => string;
  /** Newest durable state, from the database. */
  readonly load: (id: TaskId) => Promise<TaskState | null>;
  /** Tasks of logs in the same database are none of ours. */
  readonly isOurs: (task: TaskState) => boolean;
}

/** What may be refused while much waits for the database: whoever makes it can wait, and holds nothing that others need. */
const BULK: ReadonlySet<EntryType> = new Set<EntryType>(['progress', 'custom']);
/** What somebody outside a run waits for the database. Unit: ms. */
const PATIENCE_MS = 10_000;
/** Each is a race that somebody else won. */
const MAX_RACES = 20;

/**
 * Facts by compare-and-set: rules and fold are applied here, on the newest state that is known, and the server makes the entries only if the
 * task still is where it was seen, with the same fence and sequence. Who lost reads again and decides again.
 */
export class ClusterFacts implements FactPort {
  private readonly turns = new KeyedTurns();

  constructor(private readonly parts: FactParts) {}

  append(drafts: readonly FactDraft[]): Promise<FactOutcome> {
    const { taskId: id, type } = drafts[0]!;
    if (BULK.has(type) && !this.parts.caller.hasRoom) return Promise.reject(noRoom());
    return this.turns.inTurn(id, () => this.appendInTurn(id, drafts));
  }

  /** Used by engines whose creation goes through the port; here tasks are created, and keys handed on, by the task creator. */
  appendAll(parts: readonly (readonly FactDraft[])[]): Promise<FactsOutcome> {
    return Promise.reject(new Error(`The cluster engine makes the facts of ${parts.length} tasks at once through its task creator only.`));
  }

  cancelRequestOf(id: TaskId): CancelRequest | null | undefined {
    return this.parts.runs.get(id)?.task.cancelRequest;
  }

  canWrite(task: TaskState): boolean {
    return this.parts.isOurs(task);
  }

  load(id: TaskId): Promise<TaskState | null> {
    return this.parts.load(id);
  }

  whenAccepting(): Promise<void> {
    return this.parts.caller.whenRoom();
  }

  private async appendInTurn(id: TaskId, drafts: readonly FactDraft[]): Promise<FactOutcome> {
    const { runs, load } = this.parts;
    let known: TaskState | null = runs.get(id)?.task ?? null;
    let isNewest = false;
    for (let race = 0; race < MAX_RACES; race++) {
      if (known === null) {
        known = await load(id);
        isNewest = true;
        if (known === null || !this.parts.isOurs(known)) return { kind: 'stale', task: known };
        runs.changed(known);
      }
      const planned = plannedMove(known, drafts, this.parts.time.now(), this.parts.me());
      if (planned !== undefined) {
        if ((await this.make(planned, id)) === 'applied') return this.applied(planned);
      } else if (isNewest) return { kind: 'stale', task: known };
      // Somebody else wrote: what they made of the task is read, and decides.
      known = null;
    }
    throw new RepositoryError('UNAVAILABLE', `Task ${id} keeps changing; try again.`);
  }

  /** A run waits for as long as its node is one: its entries are made, or it is told that it was lost. */
  private make(planned: PlannedMove, id: TaskId): Promise<'applied' | 'stale'> {
    return this.parts.caller.apply(planned, this.parts.runs.get(id) === undefined ? PATIENCE_MS : undefined);
  }

  private applied(planned: PlannedMove): FactOutcome {
    const { facts, after, move } = planned;
    const task = after ?? move.task;
    this.parts.runs.changed(task);
    this.parts.news.made(committedFacts(planned));
    return { kind: 'applied', seq: facts.at(-1)!.taskSeq, at: facts[0]!.at, task };
  }
}

const noRoom = (): RepositoryError =>
  new RepositoryError('UNAVAILABLE', 'Too much waits for the database; entries are taken again when there is room.', 1000, {
    outcome: 'none',
  });
