import type { StoredEvent, TaskEvent } from '../../../lib/contracts/task-event.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import type { WholeSystem } from '../../support/doubles/whole-system.js';
import type { Account, Known } from './account.js';
import type { Coverage } from './coverage.js';
import { SlowReader } from './slow-reader.js';

/** How long a reader waits for an event that exists. Unit: ms. */
const PATIENCE_MS = 3_000;

/** The subscribers of a run: live ones, ones that resume, ones that stall. All see the same events, in order, and durable ones only. */
export class ModelReading {
  private slow: SlowReader[] = [];

  constructor(
    private readonly house: WholeSystem,
    private readonly account: Account,
    private readonly coverage: Coverage,
    private readonly buffered: number,
  ) {}

  /** The process is down: so are its readers. */
  forget(): void {
    this.slow = [];
  }

  /** A live subscriber: what it is shown survives the loss of everything that is not synced, at that very moment. */
  async watch(known: Known): Promise<void> {
    const { house } = this;
    const { context } = house.now;
    try {
      for await (const event of house.system.subscribe({ id: known.id }, { lastSeq: 0 })) {
        if (context !== house.current?.context) return;
        this.coverage.count('live event');
        this.show(known, event);
      }
    } catch {
      // Cut by a crash or a shutdown; or the task was pruned.
    }
  }

  /** Takes one event, and reads on when `drain` is called. */
  async stall(known: Known): Promise<void> {
    const stream = this.house.system.subscribe({ id: known.id }, { lastSeq: 0 });
    const reader = new SlowReader(known, stream[Symbol.asyncIterator](), {
      shown: (event) => this.show(known, event),
      broke: (how) => void this.account.faults.push(how),
    });
    this.slow.push(reader);
    await reader.readTo(1, this.arrives);
  }

  async drain(): Promise<void> {
    const { isAway } = this.house.shared;
    for (const reader of this.slow.filter(({ isCut }) => !isCut)) {
      const head = await this.headOf(reader.known);
      if (head === undefined) continue;
      const taken = await reader.readTo(head, this.arrives);
      if (taken === undefined && !isAway && !reader.known.isPrunable)
        this.account.faults.push(`a slow reader of ${reader.known.id} waits for ${head} in vain`);
      this.coverage.count('event after a stall', taken ?? 0);
      if ((taken ?? 0) > this.buffered) this.coverage.count('stall beyond the buffer');
    }
    if (!isAway) this.slow = [];
  }

  /** From anywhere in its history to its head: n+1, n+2 … once each. */
  async resume(known: Known, from: number): Promise<void> {
    const head = await this.headOf(known);
    if (head === undefined) return;
    const lastSeq = from % (head + 1);
    this.coverage.count('resumed event', head - lastSeq);
    await this.read(known, lastSeq, head);
  }

  readAll(known: Known, head: number): Promise<void> {
    return this.read(known, 0, head);
  }

  private async read(known: Known, lastSeq: number, head: number): Promise<void> {
    if (lastSeq === head) return;
    const seqs: number[] = [];
    const abort = new AbortController();
    const reading = (async () => {
      for await (const event of this.house.system.subscribe({ id: known.id }, { lastSeq, signal: abort.signal })) {
        this.show(known, event);
        const { seq } = event as Partial<StoredEvent>;
        if (seq !== undefined) seqs.push(seq);
        if (seq === head) return;
      }
    })();
    const isDone = await this.house.settlesWithin(reading, PATIENCE_MS);
    abort.abort();
    const error = await this.house.until(
      reading.then(
        () => undefined,
        (reason: unknown) => reason,
      ),
    );
    // Without the database only what memory and log have can be read; what came must be in order all the same.
    const mayBeCut = this.house.shared.isAway && (!isDone || error !== undefined);
    const wanted = Array.from({ length: mayBeCut ? seqs.length : head - lastSeq }, (_, at) => lastSeq + 1 + at);
    if (seqs.join() !== wanted.join())
      this.account.faults.push(`${known.id} after ${lastSeq} gave ${seqs.join()} of ${wanted.join()} (${String(error)})`);
  }

  /** The durable head as the status tells it; undefined when it cannot be known now, or the task is gone. */
  private async headOf(known: Known): Promise<number | undefined> {
    const { house, account } = this;
    let state = await this.statusOf(known);
    if (RepositoryError.is(state) && !house.shared.isAway) {
      // The database has been back for less time than a refusal asks for.
      await house.run(state.retryAfterMs);
      state = await this.statusOf(known);
    }
    if (state instanceof Error) {
      if (!house.shared.isAway) account.faults.push(`the status of ${known.id} was refused: ${String(state)}`);
      return undefined;
    }
    if (state === null) {
      if (!known.isPrunable) account.faults.push(`${known.id} is gone`);
      return undefined;
    }
    if (!this.isDurable(known, `"t":"${known.id}","q":${state.lastSeq},`, state.lastSeq))
      account.faults.push(`${known.id}: the status told of ${state.lastSeq} before it was durable`);
    return state.lastSeq;
  }

  private statusOf({ id }: Known): Promise<Task | null | Error> {
    return this.house.until(this.house.system.getStatus({ id }).catch((error: unknown) => error as Error));
  }

  private show(known: Known, event: TaskEvent): void {
    const { seq } = event as Partial<StoredEvent>;
    if (seq === undefined) return;
    if (!this.isDurable(known, `"e":"${event.type}","t":"${known.id}","q":${seq},`, seq))
      this.account.faults.push(`${known.id}: ${seq} ${event.type} was shown before it was durable`);
    this.account.show(known, event);
  }

  private isDurable(known: Known, mark: string, seq: number): boolean {
    const stored = this.house.shared.rows.events.get(known.id);
    return stored?.some((event) => event.seq === seq) === true || this.house.durableText().includes(mark);
  }

  private readonly arrives = (pending: Promise<unknown>): Promise<boolean> => this.house.settlesWithin(pending, PATIENCE_MS);
}
