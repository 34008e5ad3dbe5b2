import type { Submission } from '../../../contracts/submission.interface.js';
import type { Task } from '../../../contracts/task.interface.js';
import { allowsReuse, sameTask } from '../../../domain/key-rules.js';
import { createdSnapshotOf, snapshotOf } from '../../../domain/task-snapshot.js';
import type { TaskState } from '../../../domain/task-state.js';
import { RepositoryError } from '../../../errors/storage.errors.js';
import type { ClusterNames } from '../storage/cluster-names.js';
import { keptTask, requireManager, taskWithin } from '../storage/host-session.js';
import { type HostManager, insertWithHost } from '../storage/host-transaction.js';
import type { NewTasks } from './new-tasks.js';

/** Each is a race for a key that somebody else won. */
const MAX_RACES = 5;

/**
 * Tasks that are created with a transaction of the host: rolled back, they never were; committed, they run. Until then they exist for
 * nobody else. No window counts them, as a window that they held would stop all nodes for as long as the host takes.
 */
export class HostSubmits {
  constructor(
    private readonly names: ClusterNames,
    private readonly tasks: NewTasks,
    private readonly me: () => string,
  ) {}

  /** @throws ValidationError; ConflictError; what the database says, which ends the host's transaction. */
  async submit(submission: Submission, manager: object): Promise<Task> {
    const host = requireManager(manager);
    let replaced: TaskState | null = null;
    for (let race = 0; race < MAX_RACES; race++) {
      const me = this.me();
      const prepared = this.tasks.prepare(submission, replaced);
      const outcome = await insertWithHost(host, this.names, me, prepared.row, replaced?.id ?? null);
      if (outcome.kind === 'created') {
        const { task } = this.tasks.created(prepared, { ...outcome, started: false }, me);
        return createdSnapshotOf(task, submission.input);
      }
      const existing = await taskWithin(host, this.names, outcome.id);
      if (existing === null) replaced = null;
      else if (!allowsReuse(submission.request, existing)) return snapshotOf(sameTask(existing, submission));
      else replaced = await this.stillEnded(host, submission, existing);
    }
    throw new RepositoryError('UNAVAILABLE', 'The task of this key keeps changing; try again.');
  }

  /** Kept as it is until the host ends its transaction, so that nobody retries the task that gives its key up. */
  private async stillEnded(host: HostManager, { request }: Submission, existing: TaskState): Promise<TaskState | null> {
    const kept = await keptTask(host, this.names, existing.id);
    return kept !== null && kept.supersededBy === null && allowsReuse(request, kept) ? kept : null;
  }
}
