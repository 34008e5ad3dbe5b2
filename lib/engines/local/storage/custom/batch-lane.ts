import type { Clock } from '../../../../contracts/clock.interface.js';
import type { EventLogEntry, TaskRepository } from '../../../../contracts/task-repository.interface.js';
import { answerWithin, isSilence } from '../../../../repository/answer-limit.js';

/** After that the repository counts as away; what it still does goes on. */
const BATCH_LIMIT_MS = 10_000;
/** After that a batch is taken for lost, and given again. */
const LOST_AFTER_MS = 30_000;
/** After a long silence the first batch to be answered must not have to wait for much longer than that silence lasted. */
const LONGEST_LOST_AFTER_MS = 120_000;

interface Sent {
  readonly at: number;
  readonly lastSeq: number;
  /** Whoever gave it was told that there was no answer in time. */
  isLate: boolean;
  /** Never rejects. */
  readonly settled: Promise<void>;
}

/**
 * Batches on their way to a custom repository: one at a time, in the order of the log.
 *
 * One that has not answered in time is still under way: nothing is given beside it, since a late write must not land on top of newer ones.
 * If it succeeds late, its entries are not given again, so that a slow repository gets ahead, too. Only one that stays silent for
 * `LOST_AFTER_MS` is given up, for its connection may be gone: the same entries are given again, and the repository's own rule, that an
 * entry applies only on top of the one before it, refuses what may still come of the first. Each loss doubles the time to the next, up to two minutes.
 */
export class BatchLane {
  private sent: Sent | undefined;
  /** Log sequence up to which the repository said, too late for whoever asked, that all is durable. */
  private doneSeq = 0;
  private lostAfterMs = LOST_AFTER_MS;

  constructor(
    private readonly repository: Pick<TaskRepository, 'executeBatch'>,
    private readonly clock: Clock,
  ) {}

  /** Resolves when the entries are durable. @throws RepositoryError when that is not known in time; what the repository rejects with. */
  async give(entries: readonly EventLogEntry[]): Promise<void> {
    await this.previous();
    const due = entries.filter(({ seq }) => seq > this.doneSeq);
    if (due.length > 0) await this.send(due);
  }

  private async send(entries: readonly EventLogEntry[]): Promise<void> {
    const given = new Promise<void>((answer) => answer(this.repository.executeBatch(entries)));
    const settled = given.then(
      () => this.succeeded(sent),
      () => this.ended(sent),
    );
    const sent: Sent = { at: this.clock.monotonic(), lastSeq: entries.at(-1)!.seq, isLate: false, settled };
    this.sent = sent;
    try {
      await this.within(BATCH_LIMIT_MS, given);
    } catch (error) {
      sent.isLate = isSilence(error);
      throw error;
    }
  }

  private succeeded(sent: Sent): void {
    if (sent.isLate) this.doneSeq = Math.max(this.doneSeq, sent.lastSeq);
    this.lostAfterMs = LOST_AFTER_MS;
    this.ended(sent);
  }

  private ended(sent: Sent): void {
    if (this.sent === sent) this.sent = undefined;
  }

  /** Waits for what was not answered in time. @throws RepositoryError while it is not known what becomes of it. */
  private async previous(): Promise<void> {
    const { sent } = this;
    if (sent === undefined) return;
    const lostInMs = sent.at + this.lostAfterMs - this.clock.monotonic();
    try {
      await this.within(Math.max(0, Math.min(BATCH_LIMIT_MS, lostInMs)), sent.settled);
    } catch (error) {
      if (!isSilence(error) || lostInMs > BATCH_LIMIT_MS) throw error;
      this.sent = undefined;
      this.lostAfterMs = Math.min(this.lostAfterMs * 2, LONGEST_LOST_AFTER_MS);
    }
  }

  private within(limitMs: number, answer: Promise<void>): Promise<void> {
    return answerWithin(this.clock, limitMs, 'custom repository, executeBatch', () => answer);
  }
}
