import { Inject, Injectable } from '@nestjs/common';
import type { Degradation } from '../contracts/degradation.interface.js';
import type { TaskSystemStats } from '../contracts/task-system.interface.js';
import { TaskSystem } from '../task-system.js';

/** What a health endpoint shows of the task system. It names no path, host, user or key. */
export interface TaskflowHealth {
  readonly status: 'up' | 'down';
  readonly taskflow: TaskSystemStats['status'];
  /** Why it is degraded, the worst first, each with what to do. A system that is up may be degraded. */
  readonly degraded: readonly Pick<Degradation, 'name' | 'message' | 'remedy'>[];
}

/**
 * For `@nestjs/terminus`: list it among the providers of the health module, and hand its answers to `HealthCheckService.check`. Neither
 * method asks the disk or the database anything, so that a probe costs nothing and never hangs.
 */
@Injectable()
export class TaskflowHealthIndicator {
  constructor(@Inject(TaskSystem) private readonly tasks: TaskSystem) {}

  /**
   * Down only where a restart helps: the log failed, or the system was stopped while its process lives on. A full disk or a database that is
   * away is no reason to kill a process whose tasks run.
   * @param key name in the answer. Default `taskflow`.
   */
  async liveness<const Key extends string = 'taskflow'>(key?: Key): Promise<Record<Key, TaskflowHealth>> {
    const { status, degraded } = this.tasks.getStats();
    return answer(key, status, degraded, status !== 'stopped' && !degraded.some(({ needsRestart }) => needsRestart));
  }

  /**
   * Down while a new task would be refused whoever submits it: while it starts and stops, and while the log is full, failed, or apart from
   * its database. Up while limits refuse some (429 says when to come back) and while the database is away: tasks without a key are
   * taken, and run.
   * @param key name in the answer. Default `taskflow`.
   */
  async readiness<const Key extends string = 'taskflow'>(key?: Key): Promise<Record<Key, TaskflowHealth>> {
    const { status, degraded } = this.tasks.getStats();
    const isUp = status === 'running' || status === 'degraded';
    return answer(key, status, degraded, isUp && !degraded.some(({ refusesTasks }) => refusesTasks));
  }
}

function answer<Key extends string>(
  key: Key | undefined,
  taskflow: TaskSystemStats['status'],
  degraded: readonly Degradation[],
  isUp: boolean,
): Record<Key, TaskflowHealth> {
  const health: TaskflowHealth = {
    status: isUp ? 'up' : 'down',
    taskflow,
    degraded: degraded.map(({ name, message, remedy }) => ({ name, message, remedy })),
  };
  return { [key ?? 'taskflow']: health } as Record<Key, TaskflowHealth>;
}
