import type { LoggerService } from '@nestjs/common';
import { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { FactPort } from '../../../contracts/fact-port.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import { crashVerdict } from '../../../domain/crash-verdict.js';
import type { TaskState } from '../../../domain/task-state.js';
import { EventLogFullError } from '../../../errors/storage.errors.js';
import { EventLogService } from '../wal/event-log.service.js';
import { LocalWorkFeed } from '../queue/local-work-feed.js';
import { Overlay } from '../ledger/overlay.js';
import { failpoint } from '../../../primitives/failpoint.js';

const PAGE = 500;

/**
 * What the last process of this log left behind: running tasks go back to the queue at once, marked as crashed; waiting ones queue up.
 * It never calls a handler: recovered tasks run as all others do, under slots, fences and timeouts.
 */
export class RecoveryService {
  private recoveredCount = 0;
  private failedCount = 0;
  private cancelledCount = 0;
  private stopped = false;

  constructor(
    private readonly options: TaskflowOptions,
    private readonly facts: FactPort,
    private readonly store: TaskStore,
    private readonly telemetry: Telemetry,
    private readonly log: EventLogService,
    private readonly overlay: Overlay,
    private readonly work: LocalWorkFeed,
    private readonly logger: LoggerService,
  ) {}

  /** Tasks put back since the start. */
  get recovered(): number {
    return this.recoveredCount;
  }

  /** Tasks that ended here since the start: their process died too often, or they were to be cancelled. */
  get ended(): { readonly failed: number; readonly cancelled: number } {
    return { failed: this.failedCount, cancelled: this.cancelledCount };
  }

  /** The tasks that the log's tail speaks of. Resolves when every running one is put back, or waits for room. */
  async recoverTail(): Promise<void> {
    await this.telemetry.span('taskflow.recovery.scan', {}, async () => {
      const left = [...this.overlay.values()].map((head) => head.durable).filter((state) => state !== null);
      await this.takeUp(left);
    });
  }

  /** The running tasks of this home that only the database knows. @throws RepositoryError: call again later. */
  async recoverRows(): Promise<void> {
    await this.telemetry.span('taskflow.recovery.scan', {}, () => this.eachPage('running'));
  }

  /** The waiting tasks of this home, page by page, while the system already works. @throws RepositoryError: call again later. */
  async queueRows(): Promise<void> {
    await this.eachPage('created');
  }

  /** Tasks whose rows could not be read at the start, and now were. */
  async takeUpKnown(ids: readonly TaskId[]): Promise<void> {
    await this.takeUp(ids.map((id) => this.overlay.get(id)?.durable ?? null).filter((state) => state !== null));
  }

  stop(): void {
    this.stopped = true;
  }

  private async eachPage(status: 'running' | 'created'): Promise<void> {
    for (let after: { at: number; id: string } | null = null; !this.stopped;) {
      const page: TaskState[] = await this.store.unfinished(this.log.logId, status, after, PAGE);
      if (this.stopped) return; // the answer came too late: the next start asks again
      await this.takeUp(page.map((row) => this.newest(row)).filter((state) => state !== null));
      const last = page[page.length - 1];
      if (last === undefined || page.length < PAGE) return;
      after = { at: last.createdAt, id: last.id };
    }
  }

  /**
   * What memory knows is newer than any row. A waiting task that it knows was taken up before, and may have come to wait for a backoff
   * since its row was read; a running leftover may be known for no more than a cancel request that came before the recovery did.
   */
  private newest(row: TaskState): TaskState | null {
    const head = this.overlay.get(row.id);
    if (head === undefined) return row.status === 'created' && this.work.knows(row.id) ? null : row;
    return row.status === 'running' && head.durable?.status === 'running' ? head.durable : null;
  }

  private async takeUp(states: readonly TaskState[]): Promise<void> {
    const running: Promise<void>[] = [];
    for (const state of states) {
      if (state.status === 'created') this.work.offer(state);
      // A task that this process started is no leftover.
      else if (state.status === 'running' && state.owner !== this.log.owner) running.push(this.recover(state));
    }
    await Promise.all(running);
  }

  /** Puts one task back. Where the disk is full the task waits, and the start goes on. */
  private async recover(state: TaskState): Promise<void> {
    try {
      await this.putBack(state);
    } catch (error) {
      if (!EventLogFullError.is(error)) throw error;
      void this.facts
        .whenAccepting('lifecycle')
        .then(() => this.recover(state))
        .catch(() => {}); // the log failed for good: the next start recovers it
    }
  }

  private async putBack(state: TaskState): Promise<void> {
    const known = this.facts.cancelRequestOf(state.id);
    const request = known === undefined ? state.cancelRequest : known;
    const outcome = await this.facts.append([crashVerdict(state, request, 'crash', this.options.recovery)]);
    if (outcome.kind !== 'applied') {
      // A cancel request came in between: decide once more. Anything else means that the task is no leftover any more.
      if (outcome.task?.status === 'running' && outcome.task.fence === state.fence) await this.putBack(outcome.task);
      return;
    }
    failpoint('recovery.after-leftover');
    this.tell(outcome.task);
    if (outcome.task.status === 'created') this.work.offer(outcome.task);
  }

  private tell({ status, name, id, attempt, error }: TaskState): void {
    if (status === 'created') this.recoveredCount++;
    else if (status === 'cancelled') this.cancelledCount++;
    else this.failedCount++;
    if (status === 'failed')
      this.logger.error(
        `Task ${name} (${id}) failed at attempt ${attempt}: ${error?.message ?? 'its process died'} It is not tried again, unless by tasks.retry().`,
      );
    const counter = status === 'created' ? 'recovered' : status === 'cancelled' ? 'cancelled' : 'failed';
    this.telemetry.count(`taskflow.tasks.${counter}`, 1, { 'taskflow.task.name': name });
  }
}
