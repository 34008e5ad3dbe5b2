import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import { isRefusedForNow } from '../../../errors/fact-refused.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { outsideRequests } from '../../../primitives/async-context.js';
import { isRowRefusal } from '../storage/database-refusal.js';
import type { ApplyAnswer, Move, MoveOutcome } from '../storage/apply-call.interface.js';
import type { ClaimCall, ServerFunctions, StepAnswer } from '../storage/server-functions.js';
import type { PlannedMove } from './planned-move.js';

/** Who takes what the same call claims. */
export interface Claimer {
  /** What to claim now; null: nothing. Asked right before each call. */
  request(): ClaimCall | null;
  /** Called at once with the answer. Must not throw. */
  claimed(answer: Pick<StepAnswer, 'runs' | 'more'>): void;
  /** The call may have claimed, and nobody knows what. */
  lost(error: unknown): void;
}

interface Pending {
  readonly move: Move;
  readonly weight: number;
  timer?: Timer;
  isSent: boolean;
  isSettled: boolean;
  resolve(outcome: MoveOutcome): void;
  reject(error: unknown): void;
}

const MAX_MOVES = 1_000;
const MAX_WEIGHT = 1024 * 1024;
/** What may wait for the database. Beyond it entries are refused, and callers told when there is room. Unit: characters. */
const MAX_PENDING_WEIGHT = 64 * 1024 * 1024;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 1_000;

/**
 * Brings moves to the server, all that wait in one call, one call at a time; what the node has room for is claimed in the same call. A call
 * whose answer was lost is made again with the same arguments, for as long as it takes: only an answer says what became of it.
 */
export class StepCaller {
  private waiting: Pending[] = [];
  private weight = 0;
  private isRunning = false;
  private isClaimWanted = false;
  private isClosed = false;
  private claimer: Claimer | undefined;
  private room: (() => void)[] = [];
  private onIdle: (() => void)[] = [];
  private readonly between: { readonly run: () => Promise<void>; readonly cancel: () => void }[] = [];
  /** The last call was answered. */
  isAnswered = true;

  constructor(
    private readonly functions: Pick<ServerFunctions, 'apply' | 'step' | 'claim'>,
    private readonly clock: Clock,
    private readonly me: () => string,
    private readonly onNow: (now: number) => void,
    private readonly lockMs: number,
  ) {}

  serve(claimer: Claimer): void {
    this.claimer = claimer;
  }

  /** Something may be claimable, or room has come free. */
  wantClaim(): void {
    this.isClaimWanted = true;
    this.schedule();
  }

  get hasRoom(): boolean {
    return this.weight < MAX_PENDING_WEIGHT;
  }

  whenRoom(): Promise<void> {
    if (this.isClosed) return Promise.reject(closedError());
    return this.hasRoom && this.isAnswered ? Promise.resolve() : new Promise((resolve) => this.room.push(resolve));
  }

  /**
   * @param patienceMs after which the caller is told that the outcome is not known; undefined: it waits for the answer.
   * @throws RepositoryError; what the server says of a move that it cannot take.
   */
  apply({ move, weight }: PlannedMove, patienceMs?: number): Promise<MoveOutcome> {
    if (this.isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const pending: Pending = { move, weight, isSent: false, isSettled: false, resolve, reject };
      if (patienceMs !== undefined) pending.timer = this.clock.after(patienceMs, () => this.giveUp(pending), true);
      this.weight += weight;
      this.waiting.push(pending);
      this.schedule();
    });
  }

  /** Runs `work` while no call is under way: what the server then says of this node's runs is what memory knows, or memory is wrong. */
  undisturbed<T>(work: () => Promise<T>): Promise<T> {
    if (this.isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.between.push({ run: () => work().then(resolve, reject), cancel: () => reject(closedError()) });
      this.schedule();
    });
  }

  /** Resolves when nothing waits and no call is under way. */
  idle(): Promise<void> {
    return this.isRunning || this.waiting.length > 0 ? new Promise((resolve) => this.onIdle.push(resolve)) : Promise.resolve();
  }

  close(): void {
    this.isClosed = true;
    for (const pending of this.waiting.splice(0)) this.settle(pending, (each) => each.reject(closedError()));
    for (const { cancel } of this.between.splice(0)) cancel();
    this.release();
    // Whoever waits for room waits in vain, and is told so by the next try.
    for (const resolve of this.onIdle.splice(0)) resolve();
  }

  private giveUp(pending: Pending): void {
    const outcome = pending.isSent ? 'unknown' : 'none';
    this.waiting = this.waiting.filter((each) => each !== pending);
    const error = new RepositoryError('UNAVAILABLE', 'The database did not answer in time.', 1000, { outcome });
    this.settle(pending, (each) => each.reject(error));
  }

  private settle(pending: Pending, how: (pending: Pending) => void): void {
    if (pending.isSettled) return;
    pending.isSettled = true;
    pending.timer?.cancel();
    this.weight -= pending.weight;
    how(pending);
  }

  private schedule(): void {
    if (this.isRunning || this.isClosed) return;
    this.isRunning = true;
    outsideRequests(setImmediate, () => void this.run());
  }

  private async run(): Promise<void> {
    while (this.hasMore) {
      await this.between.shift()?.run();
      const batch = this.take();
      const claim = this.claimer?.request() ?? null;
      this.isClaimWanted = false;
      if (batch.length > 0 || claim !== null) await this.call(batch, claim);
      // Whoever was answered may have more for the next call.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.isRunning = false;
    if (this.hasMore) return this.schedule();
    for (const resolve of this.onIdle.splice(0)) resolve();
  }

  private get hasMore(): boolean {
    return !this.isClosed && (this.waiting.length > 0 || this.isClaimWanted || this.between.length > 0);
  }

  /**
   * Invariant: a call moves a task once. Of two moves of one row a statement makes only one, and which one nobody knows: the entries of both
   * would be there, and the position of one.
   */
  private take(): Pending[] {
    let weight = 0;
    let count = 0;
    const tasks = new Set<string>();
    for (const next of this.waiting) {
      if (count === MAX_MOVES || tasks.has(next.move.task.id)) break;
      if (count > 0 && weight + next.weight > MAX_WEIGHT) break;
      tasks.add(next.move.task.id);
      weight += next.weight;
      count++;
    }
    const batch = this.waiting.splice(0, count);
    for (const pending of batch) pending.isSent = true;
    return batch;
  }

  private async call(batch: readonly Pending[], claim: ClaimCall | null): Promise<void> {
    const request = { me: this.me(), moves: batch.map(({ move }) => move), lockMs: this.lockMs };
    try {
      const answer = await this.send(request, claim);
      if (claim !== null) this.claimer?.claimed(answer as StepAnswer);
      this.answered(batch, answer);
    } catch (error) {
      if (claim !== null) this.claimer?.lost(error);
      if (batch.length > 0) await this.again(batch, request.me, error);
    }
  }

  private send(request: Parameters<ServerFunctions['apply']>[0], claim: ClaimCall | null): Promise<ApplyAnswer | StepAnswer> {
    if (claim === null) return this.functions.apply(request);
    if (request.moves.length > 0) return this.functions.step(request, claim);
    return this.functions.claim(claim).then((answer) => ({ ...answer, outcomes: [] }));
  }

  /** Without a claim: what the lost call claimed is found where runs are. */
  private async again(batch: readonly Pending[], me: string, first: unknown): Promise<void> {
    let error = first;
    for (let pauseMs = FIRST_PAUSE_MS; !this.isClosed; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      if (!isRefusedForNow(error)) return this.refused(batch, me, error);
      this.isAnswered = false;
      await new Promise<void>((resolve) => this.clock.after(pauseMs, resolve));
      try {
        this.answered(batch, await this.functions.apply({ me, moves: batch.map(({ move }) => move), lockMs: this.lockMs }));
        return;
      } catch (again) {
        error = again;
      }
    }
    for (const pending of batch) this.settle(pending, (each) => each.reject(closedError('unknown')));
  }

  /** For what it is: by halves, until it is known which move the server cannot take. */
  private async refused(batch: readonly Pending[], me: string, error: unknown): Promise<void> {
    if (batch.length === 1 || !isRowRefusal(error)) {
      // Of a value, not of the database: whoever made it is told, and makes another.
      const reason = isRowRefusal(error) ? new TypeError((error as Error).message) : error;
      for (const pending of batch) this.settle(pending, (each) => each.reject(reason));
      return;
    }
    const half = batch.length >> 1;
    for (const part of [batch.slice(0, half), batch.slice(half)]) {
      try {
        this.answered(part, await this.functions.apply({ me, moves: part.map(({ move }) => move), lockMs: this.lockMs }));
      } catch (again) {
        await this.again(part, me, again);
      }
    }
  }

  private answered(batch: readonly Pending[], { now, outcomes }: ApplyAnswer): void {
    this.onNow(now);
    this.isAnswered = true;
    batch.forEach((pending, at) => this.settle(pending, (each) => each.resolve(outcomes[at]!)));
    this.release();
  }

  private release(): void {
    if (!this.hasRoom && !this.isClosed) return;
    for (const resolve of this.room.splice(0)) resolve();
  }
}

const closedError = (outcome: 'none' | 'unknown' = 'none'): RepositoryError =>
  new RepositoryError('UNAVAILABLE', 'The engine is closed: this process makes no more facts.', 1000, { outcome });
