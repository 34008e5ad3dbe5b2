import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { ChangeFeed, TaskWatch } from '../../../contracts/change-feed.interface.js';
import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { CommittedFact, TaskHistory } from '../../../contracts/task-history.interface.js';
import type { CancelRequest, TaskState } from '../../../domain/task-state.js';
import { Ledger } from './ledger.service.js';
import { TaskReader } from './task-reader.service.js';

type Listener = (facts: readonly CommittedFact[]) => void;

const PAGE_ENTRIES = 100;
/** Every fact of this log is told as it is made: there is nothing to follow. */
const AT_HOME: TaskWatch = Object.freeze({ isExact: true, close: () => undefined });

/** Facts of this log as they are made; of another process's log, as its flush brings them into the database that both use. */
export class LocalChangeFeed implements ChangeFeed {
  private readonly listeners: Listener[] = [];

  constructor(
    private readonly options: TaskflowOptions,
    private readonly clock: Clock,
    private readonly ledger: Ledger,
    private readonly reader: TaskReader,
  ) {}

  onCommitted(listener: Listener): void {
    this.listeners.push(listener);
    this.ledger.onCommitted(listener);
  }

  onMade(listener: Listener): void {
    this.ledger.onCommitted(listener);
  }

  onCancelRequested(listener: (taskId: TaskId, request: CancelRequest) => void): void {
    this.ledger.onCommitted((facts) => {
      facts.forEach(({ task, entry }) => {
        if (entry.type === 'cancel' && task.cancelRequest !== null) listener(task.id, task.cancelRequest);
      });
    });
  }

  /** The lock of the log is held or the process ends: no run is ever lost alone. */
  onRunsLost(): void {}

  onHalted(listener: (reason: Error) => void): void {
    this.ledger.onHalted(listener);
  }

  watch(task: TaskState): TaskWatch {
    if (this.reader.isHome(task)) return AT_HOME;
    const tell: Listener = (facts) => {
      for (const listener of this.listeners) listener(facts);
    };
    return new RowFollower(task, this.reader, this.clock, this.options.flush.flushIntervalMs, tell);
  }
}

/** Reads the rows of one task of another log, and tells what is new in them. */
export class RowFollower implements TaskWatch {
  readonly isExact = false;
  private lastSeq: number;
  private timer: Timer | undefined;
  private isClosed = false;

  /** @param intervalMs between two looks at the rows. */
  constructor(
    private readonly task: TaskState,
    private readonly history: TaskHistory,
    private readonly clock: Clock,
    private readonly intervalMs: number,
    private readonly tell: Listener,
  ) {
    this.lastSeq = task.lastSeq;
    this.lookLater();
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }

  private lookLater(): void {
    // A database that does not answer is asked again: whoever reads from it meanwhile hears of it.
    this.timer = this.clock.after(
      this.intervalMs,
      () =>
        void this.look()
          .catch(() => undefined)
          .finally(() => this.isClosed || this.lookLater()),
    );
  }

  private async look(): Promise<void> {
    const state = await this.history.load(this.task.id, false);
    if (this.isClosed) return;
    if (state === null) return this.gone();
    while (this.lastSeq < state.lastSeq) {
      const page = await this.history.after(this.task.id, this.lastSeq, PAGE_ENTRIES);
      if (page.length === 0 || this.isClosed) return;
      this.lastSeq = page.at(-1)!.taskSeq ?? this.lastSeq;
      this.tell(page.map((entry) => ({ task: state, entry })));
    }
  }

  private gone(): void {
    this.close();
    const { attempt, fence, lastEventAt } = this.task;
    this.tell([{ task: this.task, entry: { taskSeq: undefined, type: 'pruned', at: lastEventAt, attempt, fence, body: '' } }]);
  }
}
