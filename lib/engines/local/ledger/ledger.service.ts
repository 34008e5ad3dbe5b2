import { Inject, Injectable } from '@nestjs/common';
import type { CommittedFrame, EntryAddress, FrameSink, LogGroup } from '../../../contracts/event-log.interface.js';
import type { CancelRequest, FactDraft, FactOutcome, FactPort } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { CommittedFact } from '../../../contracts/task-history.interface.js';
import { fold } from '../../../domain/fold.js';
import { copyOf, type TaskState } from '../../../domain/task-state.js';
import { EventLogError } from '../../../errors/storage.errors.js';
import { EventLogService } from '../wal/event-log.service.js';
import { type Fact, sequence, type Sequenced } from './fact.js';
import { Overlay, withoutBodies } from './overlay.js';
import type { PendingHead, TaskHead } from './task-head.js';
import { TaskReader } from './task-reader.service.js';

/** Drafts on their way to the disk, with everyone who waits for them. */
class FactGroup implements LogGroup {
  constructor(
    readonly drafts: readonly Fact[],
    readonly head: TaskHead,
    readonly resolve: (outcome: FactOutcome) => void,
    readonly reject: (error: EventLogError) => void,
  ) {}

  /** What came before, also in the frame before this one: the clock may have been set back, or a task's last machine been ahead of this one. */
  get notBefore(): number {
    return this.head.durable?.lastEventAt ?? 0;
  }
}

/**
 * The fact port of one machine: its log decides. Each append is checked against the newest fold of its task, entries on their way
 * included, in the same turn in which it is queued; so the loser of a race is refused here, whoever it is.
 */
@Injectable()
export class Ledger implements FactPort, FrameSink<FactGroup> {
  private readonly committedListeners: ((facts: readonly CommittedFact[]) => void)[] = [];
  private readonly haltListeners: (() => void)[] = [];

  constructor(
    @Inject(EventLogService) private readonly log: EventLogService,
    @Inject(Overlay) private readonly overlay: Overlay,
    @Inject(TaskReader) private readonly reader: TaskReader,
  ) {}

  onCommitted(listener: (facts: readonly CommittedFact[]) => void): void {
    this.committedListeners.push(listener);
  }

  onHalted(listener: () => void): void {
    this.haltListeners.push(listener);
  }

  append(drafts: readonly FactDraft[]): Promise<FactOutcome> {
    const first = drafts[0]!;
    const head = this.overlay.get(first.taskId);
    try {
      if (head === undefined && first.type !== 'created') return this.appendAfterLoad(drafts);
      return this.appendTo(head, drafts);
    } catch (error) {
      return Promise.reject(error); // callers hear of a refusal in one way only
    }
  }

  canWrite(task: TaskState): boolean {
    return this.reader.isHome(task);
  }

  cancelRequestOf(taskId: TaskId): CancelRequest | null | undefined {
    return this.pending(taskId)?.cancelRequest;
  }

  /** The newest fold of a resident task, entries on their way included. */
  pending(taskId: TaskId): PendingHead | undefined {
    return this.overlay.get(taskId)?.newest() ?? undefined;
  }

  load(taskId: TaskId): Promise<TaskState | null> {
    return this.reader.load(taskId);
  }

  retain(taskId: TaskId): void {
    const head = this.overlay.get(taskId);
    if (head !== undefined) head.holds++;
  }

  createdOf(taskId: TaskId): EntryAddress | undefined {
    const head = this.overlay.get(taskId);
    return head?.durable?.lastSeq === 1 ? head.createdAt : undefined;
  }

  async hold(taskIds: readonly TaskId[], createdOf?: (taskId: TaskId) => EntryAddress | undefined): Promise<TaskState[]> {
    const found = await this.reader.inputs.read(taskIds, createdOf);
    const held: TaskState[] = [];
    for (const { head, input } of found) {
      // What happened to the task while its input was read is in its head; the input never changes.
      if (head.durable === null || this.overlay.get(head.id) !== head) continue;
      head.holds++;
      const task = copyOf(head.durable);
      task.input = input;
      held.push(task);
    }
    return held;
  }

  release(taskId: TaskId): void {
    const head = this.overlay.get(taskId);
    if (head === undefined) return;
    head.holds = Math.max(0, head.holds - 1);
    this.overlay.dropIfIdle(head);
  }

  whenAccepting(kind: 'bulk' | 'lifecycle'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.log.whenAccepting(kind, () => {
        const { state } = this.log;
        if (state === 'failed' || state === 'closed') reject(new EventLogError(state, 'none', `The event log is ${state}.`));
        else resolve();
      });
    });
  }

  /** The task is not resident: its newest state comes from the database first. */
  private async appendAfterLoad(drafts: readonly FactDraft[]): Promise<FactOutcome> {
    const head = await this.reader.resident(drafts[0]!.taskId);
    if (head === null) return { kind: 'stale', task: null };
    try {
      return await this.appendTo(head, drafts);
    } finally {
      this.overlay.dropIfIdle(head);
    }
  }

  private appendTo(head: TaskHead | undefined, drafts: readonly FactDraft[]): Promise<FactOutcome> {
    const sequenced = sequence(head === undefined ? null : head.newest(), drafts);
    if (sequenced !== undefined) return this.queue(head ?? this.begin(drafts[0]!), sequenced);
    if (head === undefined || head.inFlight === 0) return Promise.resolve({ kind: 'stale', task: head?.durable ?? null });
    return this.appendAfterWinner(head, drafts);
  }

  /** What won the race is not durable yet. Were its frame refused, this draft would fit after all: so wait, then look again. */
  private async appendAfterWinner(winner: TaskHead, drafts: readonly FactDraft[]): Promise<FactOutcome> {
    await new Promise<void>((resolve) => winner.whenSettled(resolve));
    return this.appendTo(winner, drafts);
  }

  private begin(created: FactDraft): TaskHead {
    return this.overlay.begin(created.taskId, this.reader.chosenKeyOf(created));
  }

  private queue(head: TaskHead, { facts, after }: Sequenced): Promise<FactOutcome> {
    return new Promise((resolve, reject) => {
      try {
        this.log.append(new FactGroup(facts, head, resolve, reject));
      } catch (error) {
        this.settle(head);
        reject(error as EventLogError);
        return;
      }
      head.inFlight++;
      head.pending = after;
    });
  }

  committed(frame: CommittedFrame<FactGroup>): void {
    const facts: CommittedFact[] = [];
    const heads: TaskHead[] = [];
    const tasks: TaskState[] = [];
    const { owner, logId } = this.log;
    let index = 0;
    let addresses = 0;
    for (const group of frame.groups) {
      const { head, drafts } = group;
      const at = Math.max(frame.at, group.notBefore);
      let task = head.durable;
      for (const draft of drafts) {
        draft.at = at;
        draft.owner = owner;
        const after = fold(head.durable, draft, logId);
        const logSeq = frame.firstSeq + index;
        head.durable = after === null ? null : withoutBodies(after);
        head.lastLogSeq = logSeq;
        if (draft.taskSeq !== undefined) {
          head.remember(draft.taskSeq, logSeq, frame.segment, frame.offsets[index]!, frame.lengths[index]!);
          addresses++;
        }
        task = after ?? task; // a pruned task is shown as it was last
        if (task !== null) facts.push({ task, entry: draft });
        index++;
      }
      heads.push(head);
      tasks.push(task!);
    }
    this.overlay.committed(frame.lastSeq, heads, addresses);
    for (const listener of this.committedListeners) listener(facts);
    this.answer(frame, tasks);
  }

  private answer(frame: CommittedFrame<FactGroup>, tasks: readonly TaskState[]): void {
    frame.groups.forEach(({ head, drafts, resolve }, at) => {
      head.inFlight--;
      this.settle(head);
      resolve({ kind: 'applied', seq: drafts[drafts.length - 1]!.taskSeq, at: drafts[0]!.at, task: tasks[at]! });
    });
  }

  refused(groups: readonly FactGroup[], error: EventLogError): void {
    const heads = new Set(groups.map((group) => group.head));
    const behind = this.log.withdraw((group) => heads.has((group as FactGroup).head)) as FactGroup[];
    // What waited behind was never written, whatever became of the frame before it.
    const none =
      error.outcome === 'none'
        ? error
        : new EventLogError(error.state, 'none', 'An earlier entry of this task was refused.', { cause: error });
    for (const group of groups) group.reject(error);
    for (const group of behind) group.reject(none);
    for (const { head } of [...groups, ...behind]) head.inFlight--;
    for (const head of heads) this.settle(head);
  }

  /** The log takes nothing more: streams end with a hint, runs abort. */
  halted(): void {
    for (const listener of this.haltListeners) listener();
  }

  private settle(head: TaskHead): void {
    if (head.inFlight > 0) return;
    head.settled();
    this.overlay.dropIfIdle(head);
  }
}
