import type { CommittedFrame, EntryAddress, FrameSink } from '../../../contracts/event-log.interface.js';
import type { CancelRequest, FactDraft, FactOutcome, FactPort, FactsOutcome } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { CommittedFact } from '../../../contracts/task-history.interface.js';
import { copyOf, type TaskState } from '../../../domain/task-state.js';
import { EventLogError } from '../../../errors/storage.errors.js';
import { Deferred } from '../../../primitives/deferred.js';
import { EventLogService } from '../wal/event-log.service.js';
import { sequence, type Sequenced } from '../../../domain/fact.js';
import { eachPart, FactGroup, type FactPart, rejectAll } from './fact-group.js';
import { applyFrame } from './frame-commit.js';
import { Overlay } from './overlay.js';
import type { PendingHead } from '../../../domain/transition.js';
import type { TaskHead } from './task-head.js';
import { TaskReader } from './task-reader.service.js';

/**
 * The fact port of one machine: its log decides. Each append is checked against the newest fold of its task, entries on their way
 * included, in the same turn in which it is queued; so the loser of a race is refused here, whoever it is.
 */
export class Ledger implements FactPort, FrameSink<FactGroup> {
  private readonly committedListeners: ((facts: readonly CommittedFact[]) => void)[] = [];
  private readonly haltListeners: ((reason: Error) => void)[] = [];

  constructor(
    private readonly log: EventLogService,
    private readonly overlay: Overlay,
    private readonly reader: TaskReader,
  ) {}

  onCommitted(listener: (facts: readonly CommittedFact[]) => void): void {
    this.committedListeners.push(listener);
  }

  onHalted(listener: (reason: Error) => void): void {
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

  async appendAll(parts: readonly (readonly FactDraft[])[]): Promise<FactsOutcome> {
    const held: TaskHead[] = [];
    try {
      // Together: one after the other, a thousand of them would take as many times what the database takes for one.
      const known = parts.filter(([first]) => first!.type !== 'created');
      const loads = await Promise.allSettled(known.map(([first]) => this.holdHead(first!.taskId, held)));
      for (const load of loads) {
        if (load.status === 'rejected') throw load.reason;
        if (!load.value) return { kind: 'stale', task: null };
      }
      return await this.appendParts(parts);
    } finally {
      for (const { id } of held) this.release(id);
    }
  }

  /** In the turn in which the head is there, as nobody else may keep it. False: there is no such task. */
  private async holdHead(id: TaskId, held: TaskHead[]): Promise<boolean> {
    const head = await this.reader.resident(id);
    if (head === null) return false;
    head.holds++;
    held.push(head);
    return true;
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

  private async appendParts(parts: readonly (readonly FactDraft[])[]): Promise<FactsOutcome> {
    for (;;) {
      const fitting: { head: TaskHead | undefined; first: FactDraft; sequenced: Sequenced }[] = [];
      let loser: TaskHead | undefined;
      for (const drafts of parts) {
        const head = this.overlay.get(drafts[0]!.taskId);
        const sequenced = sequence(head === undefined ? null : head.newest(), drafts);
        if (sequenced !== undefined) fitting.push({ head, first: drafts[0]!, sequenced });
        else if (head === undefined || head.inFlight === 0) return { kind: 'stale', task: head?.durable ?? null };
        else loser = head;
      }
      if (loser === undefined) {
        const outcomes = await this.queueAll(fitting.map(({ head, first, sequenced }) => ({ head: head ?? this.begin(first), sequenced })));
        return { kind: 'applied', tasks: outcomes.map(({ task }) => task!) };
      }
      await new Promise<void>((resolve) => loser.whenSettled(resolve)); // as `appendAfterWinner`
    }
  }

  private queueAll(parts: readonly { readonly head: TaskHead; readonly sequenced: Sequenced }[]): Promise<FactOutcome[]> {
    const answers = parts.map(() => new Deferred<FactOutcome>());
    const [first, ...others] = parts.map(({ head, sequenced }, at): FactPart => {
      return { head, facts: sequenced.facts, resolve: (outcome) => answers[at]!.resolve(outcome) };
    });
    return new Promise((resolve, reject) => {
      const drafts = parts.flatMap(({ sequenced }) => sequenced.facts);
      try {
        this.log.append(new FactGroup(drafts, first!.facts, first!.head, first!.resolve, reject, others));
      } catch (error) {
        for (const { head } of parts) this.settle(head);
        reject(error as EventLogError);
        return;
      }
      for (const { head, sequenced } of parts) {
        head.inFlight++;
        head.pending = sequenced.after;
      }
      void Promise.all(answers.map(({ promise }) => promise)).then(resolve);
    });
  }

  private begin(created: FactDraft): TaskHead {
    return this.overlay.begin(created.taskId, this.reader.chosenKeyOf(created));
  }

  private queue(head: TaskHead, { facts, after }: Sequenced): Promise<FactOutcome> {
    return new Promise((resolve, reject) => {
      try {
        this.log.append(new FactGroup(facts, facts, head, resolve, reject));
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
    const { facts, heads, tasks, addresses } = applyFrame(frame, this.log.owner, this.log.logId);
    this.overlay.committed(frame.lastSeq, heads, addresses);
    for (const listener of this.committedListeners) listener(facts);
    this.answer(frame, tasks);
  }

  private answer(frame: CommittedFrame<FactGroup>, tasks: readonly TaskState[]): void {
    let at = 0;
    eachPart(frame.groups, ({ head, facts, resolve }) => {
      head.inFlight--;
      this.settle(head);
      resolve({ kind: 'applied', seq: facts[facts.length - 1]!.taskSeq, at: facts[0]!.at, task: tasks[at]! });
      at++;
    });
  }

  refused(groups: readonly FactGroup[], error: EventLogError): void {
    const heads = rejectAll(groups, error, (match) => this.log.withdraw((group) => match(group as FactGroup)) as FactGroup[]);
    for (const head of heads) this.settle(head);
  }

  /** The log takes nothing more: streams end with a hint, runs abort. */
  halted(reason: Error): void {
    for (const listener of this.haltListeners) listener(reason);
  }

  private settle(head: TaskHead): void {
    if (head.inFlight > 0) return;
    head.settled();
    this.overlay.dropIfIdle(head);
  }
}
