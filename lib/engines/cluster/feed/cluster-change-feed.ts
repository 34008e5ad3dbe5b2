import type { ChangeFeed, TaskWatch } from '../../../contracts/change-feed.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { LiveRun } from '../../../contracts/run-liveness.interface.js';
import type { CancelRequest, TaskState } from '../../../domain/task-state.js';
import type { FactListener, FactNews } from '../facts/fact-news.js';
import type { OwnRuns } from '../facts/own-runs.js';
import type { Follower } from './follower.js';

/** Own facts as they are made, those of other nodes while somebody listens, and what others want of the runs of this node. */
export class ClusterChangeFeed implements ChangeFeed {
  private readonly cancelListeners: ((id: TaskId, request: CancelRequest) => void)[] = [];
  private readonly lostListeners: ((runs: readonly LiveRun[], reason: Error) => void)[] = [];

  constructor(
    private readonly news: FactNews,
    private readonly follower: Follower,
    runs: OwnRuns,
  ) {
    news.onMade((facts) => {
      for (const { task, entry } of facts)
        if (entry.type === 'cancel' && task.cancelRequest !== null && runs.get(task.id) !== undefined)
          this.cancelRequested(task.id, task.cancelRequest);
    });
  }

  onCommitted(listener: FactListener): void {
    this.news.onCommitted(listener);
  }

  onMade(listener: FactListener): void {
    this.news.onMade(listener);
  }

  onCancelRequested(listener: (id: TaskId, request: CancelRequest) => void): void {
    this.cancelListeners.push(listener);
  }

  onRunsLost(listener: (runs: readonly LiveRun[], reason: Error) => void): void {
    this.lostListeners.push(listener);
  }

  /** A database that is away is asked until it answers: no failure is for good. */
  onHalted(): void {}

  /** The primary was asked for the task right before: what lies beyond it then is a mistake. */
  watch(task: TaskState): TaskWatch {
    return { isExact: true, close: this.follower.follow(task) };
  }

  cancelRequested(id: TaskId, request: CancelRequest): void {
    for (const listener of this.cancelListeners) listener(id, request);
  }

  runsLost(runs: readonly LiveRun[], reason: Error): void {
    if (runs.length > 0) for (const listener of this.lostListeners) listener(runs, reason);
  }
}
