import type { Clock } from '../../../contracts/clock.interface.js';
import { isRefusedForNow } from '../../../errors/fact-refused.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import { outsideRequests } from '../../../primitives/async-context.js';
import { isLockTimeout, isRowRefusal } from '../storage/database-refusal.js';
import type { ServerFunctions } from '../storage/server-functions.js';
import type { NewTask, SubmitAnswer, SubmitCall, SubmitOutcome } from '../storage/submit-call.interface.js';

export interface SubmitCallerParts {
  readonly functions: Pick<ServerFunctions, 'submit'>;
  readonly clock: Clock;
  readonly me: () => string;
  readonly onNow: (now: number) => void;
  /** What every call says beside its tasks. */
  readonly bounds: () => Pick<SubmitCall, 'window' | 'queued' | 'delayed' | 'lockMs'>;
}

export interface SubmitAnswered {
  readonly now: number;
  readonly outcomes: readonly SubmitOutcome[];
}

interface Waiting {
  readonly tasks: readonly NewTask[];
  readonly isAlone: boolean;
  readonly start: SubmitCall['start'];
  readonly since: number;
  readonly weight: number;
  readonly resolve: (answer: SubmitAnswered) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_TASKS = 1_000;
const MAX_WEIGHT = 1024 * 1024;
/** What a caller waits for the database, before it is told that it does not answer. Unit: ms. */
const PATIENCE_MS = 10_000;
/** Submits that may wait for the database. Beyond it they are refused at once. Unit: characters. */
const MAX_PENDING_WEIGHT = 64 * 1024 * 1024;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 500;

/**
 * Brings submits to the server, all that wait in one call, one call at a time. Those with a key go in groups of their own, as they may have
 * to wait for another transaction that holds it.
 */
export class SubmitCaller {
  private plain: Waiting[] = [];
  private keyed: Waiting[] = [];
  private weight = 0;
  private isRunning = false;
  private isClosed = false;

  constructor(private readonly parts: SubmitCallerParts) {}

  /**
   * @param isAlone all of them are created or none, in a call of their own.
   * @param start the one task starts at once, or is refused.
   * @throws RepositoryError, whose outcome says whether they may exist all the same.
   */
  submit(tasks: readonly NewTask[], isAlone: boolean, start: SubmitCall['start'] = null): Promise<SubmitAnswered> {
    if (this.isClosed) return Promise.reject(silent('none', 'The engine is closed.'));
    if (this.weight > MAX_PENDING_WEIGHT) return Promise.reject(silent('none', 'Too many submits wait for the database.'));
    const weight = tasks.reduce((sum, { input, data }) => sum + input.length + data.length, 0);
    return new Promise((resolve, reject) => {
      const waiting = { tasks, isAlone, start, since: this.parts.clock.monotonic(), weight, resolve, reject };
      (tasks.some(({ key }) => key !== null) ? this.keyed : this.plain).push(waiting);
      this.weight += weight;
      if (this.isRunning) return;
      this.isRunning = true;
      outsideRequests(setImmediate, () => void this.run());
    });
  }

  close(): void {
    this.isClosed = true;
  }

  private async run(): Promise<void> {
    for (let turn = 0; this.plain.length + this.keyed.length > 0; turn++) {
      const [first, second] = turn % 2 === 0 ? [this.plain, this.keyed] : [this.keyed, this.plain];
      await this.call(this.take(first.length > 0 ? first : second));
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.isRunning = false;
  }

  private take(from: Waiting[]): Waiting[] {
    let count = 0;
    let tasks = 0;
    let weight = 0;
    for (const each of from) {
      if (count > 0 && (each.isAlone || tasks + each.tasks.length > MAX_TASKS || weight + each.weight > MAX_WEIGHT)) break;
      count++;
      tasks += each.tasks.length;
      weight += each.weight;
      if (each.isAlone) break;
    }
    const taken = from.splice(0, count);
    for (const each of taken) this.weight -= each.weight;
    return taken;
  }

  private async call(batch: readonly Waiting[]): Promise<void> {
    const request: SubmitCall = {
      ...this.parts.bounds(),
      me: this.parts.me(),
      tasks: batch.flatMap(({ tasks }) => tasks),
      all: batch[0]!.isAlone,
      start: batch[0]!.start,
    };
    let left = batch;
    let outcome: 'none' | 'unknown' = 'none';
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      try {
        return this.answered(batch, await this.parts.functions.submit(request));
      } catch (error) {
        if (!isRefusedForNow(error)) return this.refused(batch, error);
        if (error.outcome === 'unknown') outcome = 'unknown';
        else if (batch.length > 1 && isLockTimeout(error)) return this.byHalves(batch);
        left = this.giveUp(left, outcome, error);
        if (left.length === 0) return;
        await new Promise<void>((resolve) => this.parts.clock.after(pauseMs, resolve, true));
      }
    }
  }

  /** One of them may be what held all of them up. */
  private async byHalves(batch: readonly Waiting[]): Promise<void> {
    const half = batch.length >> 1;
    await this.call(batch.slice(0, half));
    await this.call(batch.slice(half));
  }

  /** For what it is. One task that the server cannot take must not refuse the others of its group. */
  private async refused(batch: readonly Waiting[], error: unknown): Promise<void> {
    if (batch.length > 1 && isRowRefusal(error)) return this.byHalves(batch);
    for (const each of batch) each.reject(error);
  }

  private giveUp(batch: readonly Waiting[], outcome: 'none' | 'unknown', error: unknown): Waiting[] {
    const now = this.parts.clock.monotonic();
    return batch.filter((each) => {
      if (now - each.since < PATIENCE_MS && !this.isClosed) return true;
      each.reject(outcome === 'none' ? error : silent(outcome, (error as Error).message));
      return false;
    });
  }

  private answered(batch: readonly Waiting[], { now, outcomes }: SubmitAnswer): void {
    this.parts.onNow(now);
    let from = 0;
    for (const { tasks, resolve } of batch) resolve({ now, outcomes: outcomes.slice(from, (from += tasks.length)) });
  }
}

const silent = (outcome: 'none' | 'unknown', message: string): RepositoryError =>
  new RepositoryError('UNAVAILABLE', message, 1000, { outcome });
