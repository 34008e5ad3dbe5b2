import type { TaskId } from '../../../contracts/ids.js';
import type { RunLimits } from '../storage/submit-call.interface.js';
import type { SlotLease, WorkFeed, WorkSize, WorkTaker } from '../../../contracts/work-feed.interface.js';
import type { TaskState } from '../../../domain/task-state.js';
import type { FactNews } from '../facts/fact-news.js';
import type { OwnRuns } from '../facts/own-runs.js';
import type { Claimer, StepCaller } from '../facts/step-caller.js';
import type { Membership } from '../members/membership.js';
import type { ClaimCall, HeldRun, StepAnswer } from '../storage/server-functions.js';
import type { NodeSlots } from './node-slots.js';
import type { ReadRun, StartedRuns } from './started-runs.js';
import type { WorkClock } from './work-clock.js';

export interface WorkFeedParts {
  readonly caller: StepCaller;
  readonly runs: OwnRuns;
  readonly slots: NodeSlots;
  readonly started: StartedRuns;
  readonly news: FactNews;
  readonly membership: Pick<Membership, 'mayClaim' | 'me'>;
  readonly work: WorkClock;
  readonly limits: RunLimits & { readonly recovering: number; readonly suspect: number };
  /** The handlers of this node, with their limits over all nodes. */
  readonly handlers: () => ClaimCall['handlers'];
  readonly size: () => WorkSize;
  /** Others may have room for what is ready. */
  readonly hint: () => void;
  readonly lockMs: number;
}

/** Submits whose validated input is kept for their start on this node, at most. */
const MAX_VALIDATED = 1_000;

/** Work of the whole cluster, as this node has room for it: claimed in the turn that all nodes share, started with the claim. */
export class ClusterWorkFeed implements WorkFeed, Claimer {
  starting = 0;
  deferred = 0;
  expired = 0;
  private taker: WorkTaker | undefined;
  private isOpen = false;
  private readonly validated = new Map<TaskId, unknown>();
  private closing: (() => void)[] = [];
  /** A claim was sent and not answered: what it took is not known to memory yet. */
  private isClaiming = false;

  constructor(private readonly parts: WorkFeedParts) {
    parts.caller.serve(this);
  }

  get size(): WorkSize {
    return this.parts.size();
  }

  /** Waiting tasks are started on this node as places come free. */
  get takesWork(): boolean {
    return this.isOpen;
  }

  serve(taker: WorkTaker): void {
    this.taker = taker;
  }

  open(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.parts.work.start(() => this.parts.caller.wantClaim());
    this.parts.caller.wantClaim();
  }

  async close(): Promise<void> {
    this.isOpen = false;
    await this.parts.work.stop();
    if (this.isClaiming || this.starting > 0) await new Promise<void>((resolve) => this.closing.push(resolve));
  }

  /** Looks for nothing any more. */
  end(): void {
    this.isOpen = false;
    void this.parts.work.stop();
  }

  /** A run of this node ended, or is about to. */
  placeCameFree(): void {
    if (this.isOpen) this.parts.caller.wantClaim();
  }

  define(): void {
    if (this.isOpen) this.parts.caller.wantClaim();
  }

  offer(task: TaskState): void {
    this.taker?.waits(task.name);
    const { retryDelayMs, runAt, createdAt, lastEventAt } = task;
    const dueAt = retryDelayMs === null ? (runAt === createdAt ? 0 : runAt) : lastEventAt + retryDelayMs;
    if (dueAt > lastEventAt) this.parts.work.dueAt(dueAt);
    else if (this.isOpen && this.parts.slots.free > 0) this.parts.caller.wantClaim();
    else this.parts.hint();
  }

  /** What `handle` gets when this node starts the task: its input was validated at the submit. */
  keepValidated(id: TaskId, value: unknown): void {
    if (value === undefined || this.validated.size >= MAX_VALIDATED) return;
    this.validated.set(id, value);
  }

  /** Runs are known from their claim on. */
  began(): void {}

  ended(id: TaskId): void {
    this.parts.runs.ended(id);
  }

  request(): ClaimCall | null {
    const { slots, membership, limits, lockMs } = this.parts;
    const handlers = this.parts.handlers();
    if (!this.isOpen || !membership.mayClaim || slots.free === 0 || handlers.length === 0) return null;
    this.isClaiming = true;
    return { me: membership.me, handlers, want: slots.free, limits, lockMs };
  }

  claimed({ runs, more }: Pick<StepAnswer, 'runs' | 'more'>): void {
    this.isClaiming = false;
    for (const run of runs) this.takeUp(run, true);
    this.parts.work.claimed(runs.length > 0);
    if (more && this.parts.slots.free > 0) this.parts.caller.wantClaim();
    else if (more) this.parts.hint();
    this.settled();
  }

  lost(): void {
    this.isClaiming = false;
    this.parts.work.claimed(false);
    this.settled();
  }

  /** Begins a run whose start is durable. @param isNew false: it was started by a claim whose answer was lost. */
  takeUp({ task, kind }: HeldRun, isNew: boolean): void {
    const { runs, slots, started, membership } = this.parts;
    runs.began(task, kind);
    const me = membership.me;
    const slot = slots.take(task.name, task.userId, () => this.recovered(task));
    this.starting++;
    if (isNew) this.parts.news.made([{ task, entry: startEntry(task) }]);
    const read = started.atHand(task);
    if (read !== undefined) return this.begin(read, slot);
    const isOurs = (): boolean => membership.me === me && runs.get(task.id)?.task.fence === task.fence;
    void started.read(task, isOurs).then((late) => this.begin(late, slot));
  }

  private begin(read: ReadRun | undefined, slot: SlotLease): void {
    this.starting--;
    if (read === undefined) slot.release();
    else {
      const { task, previousEvents } = read;
      const value = this.validated.get(task.id);
      const validated = this.validated.delete(task.id) && task.fence === 1 ? { value } : undefined;
      this.taker?.begin({ task, slot, previousEvents, validated });
    }
    this.settled();
  }

  /** Its recovery is over: the next recovering task may run beside it. */
  private recovered(task: TaskState): void {
    const { caller, runs } = this.parts;
    const head = runs.get(task.id);
    if (head?.kind !== 1) return;
    head.kind = 0;
    const seen = { place: 'runs', fence: task.fence, lastSeq: null } as const;
    const move = { seen, next: { place: 'runs', kind: 0 } as const, task: head.task, entries: [] };
    // Where it cannot be said, the place is free at the end of the run.
    caller.apply({ move, facts: [], after: head.task, weight: 0 }).then(
      () => this.parts.caller.wantClaim(),
      () => undefined,
    );
  }

  private settled(): void {
    if (this.starting > 0 || this.isClaiming) return;
    this.taker?.settled();
    for (const resolve of this.closing.splice(0)) resolve();
  }
}

const startEntry = ({ lastSeq, lastEventAt, attempt, fence }: TaskState) =>
  ({ taskSeq: lastSeq, type: 'start', at: lastEventAt, attempt, fence, body: '' }) as const;
