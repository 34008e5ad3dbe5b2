import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import { changed, type TaskState } from '../../../domain/task-state.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import type { OwnHead, OwnRuns } from '../facts/own-runs.js';
import type { StepCaller } from '../facts/step-caller.js';
import type { ClusterChangeFeed } from '../feed/cluster-change-feed.js';
import type { Membership } from '../members/membership.js';
import type { OwnRun, ServerFunctions } from '../storage/server-functions.js';
import type { ClusterWorkFeed } from './cluster-work-feed.js';

export interface RunMarksParts {
  readonly functions: Pick<ServerFunctions, 'own'>;
  readonly caller: StepCaller;
  readonly runs: OwnRuns;
  readonly work: ClusterWorkFeed;
  readonly changes: ClusterChangeFeed;
  readonly membership: Pick<Membership, 'me' | 'isMember'>;
  readonly load: (id: TaskId) => Promise<TaskState | null>;
  /** Submits that start their own task: their runs are on their way to memory. */
  readonly hasStartsUnderWay: () => boolean;
  readonly clock: Clock;
  readonly logger: LoggerService;
}

/** Between two looks without a hint. Unit: ms. */
const LOOK_MS = 1_000;

/**
 * Compares the runs that the database says are this node's with those that it has: others mark a run whose end they want, a claim whose
 * answer was lost has started runs that nobody knows of, and a run that is not there any more was taken up by somebody else.
 */
export class RunMarks {
  private readonly loop: InterruptibleLoop;

  constructor(private readonly parts: RunMarksParts) {
    const { clock, logger } = parts;
    const onError = (error: unknown): void => logger.debug?.(`The runs of this node could not be read: ${String(error)}`);
    this.loop = new InterruptibleLoop(clock, { intervalMs: LOOK_MS, turn: () => this.look(), onError });
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** Somebody says that there is a mark. */
  lookNow(): void {
    this.loop.wake();
  }

  private async look(): Promise<void> {
    const { membership, caller, functions } = this.parts;
    if (!membership.isMember) return;
    const { me } = membership;
    const unknown = await caller.undisturbed(async () => {
      const rows = await functions.own(me);
      return membership.me === me && membership.isMember ? this.compare(rows) : [];
    });
    for (const { id, fence } of unknown) await this.adopt(id, fence);
  }

  /** @returns runs that are this node's, and that memory does not know. */
  private compare(rows: readonly OwnRun[]): readonly OwnRun[] {
    const { runs, changes } = this.parts;
    const byId = new Map(rows.map((row) => [row.id, row]));
    const lost: OwnHead[] = [];
    for (const head of runs.all()) {
      const row = byId.get(head.task.id);
      byId.delete(head.task.id);
      if (row === undefined || row.fence !== head.task.fence) lost.push(head);
      else if (row.cancelRequest !== null && head.task.cancelRequest === null) {
        head.task = changed(head.task, { cancelRequest: row.cancelRequest });
        changes.cancelRequested(row.id, row.cancelRequest);
      }
    }
    this.lose(lost);
    return this.parts.hasStartsUnderWay() ? [] : [...byId.values()];
  }

  private lose(lost: readonly OwnHead[]): void {
    const { runs, changes } = this.parts;
    for (const { task } of lost) runs.ended(task.id);
    const gone = lost.map(({ task: { id, fence } }) => ({ taskId: id, fence }));
    changes.runsLost(gone, new Error('The run was taken up by another node, since this one did not prove in time that it lives.'));
  }

  private async adopt(id: TaskId, fence: number): Promise<void> {
    const { load, runs, work, logger } = this.parts;
    const task = await load(id);
    if (task?.status !== 'running' || task.fence !== fence || runs.get(id) !== undefined) return;
    logger.warn(`Task ${id} was started for this node by a call whose answer was lost; it begins now.`);
    work.takeUp({ task, kind: 0 }, false);
  }
}
