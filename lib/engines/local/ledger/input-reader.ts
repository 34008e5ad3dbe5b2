import type { EntryAddress } from '../../../contracts/event-log.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import { fold } from '../../../domain/fold.js';
import type { TaskState } from '../../../domain/task-state.js';
import type { EventLogService } from '../wal/event-log.service.js';
import type { Overlay } from './overlay.js';
import type { RowRead } from './row-reads.js';
import type { TaskHead } from './task-head.js';

export interface HeadWithInput {
  readonly head: TaskHead;
  readonly input: string;
}

/** A task that is asked for; `read` tells whether it came and went meanwhile. */
interface Asked {
  readonly id: TaskId;
  readonly read: RowRead;
}

/** Heads and inputs of many tasks at once: from the log as long as it has their `created`, which asks nothing of the database. */
export class InputReader {
  /** @param rowOf the row of a task; null: there is none, or it cannot be read now. Never rejects. */
  constructor(
    private readonly log: EventLogService,
    private readonly overlay: Overlay,
    private readonly rowOf: (id: TaskId) => Promise<TaskState | null>,
  ) {}

  /**
   * By few reads of the log, and few statements for those that it does not have any more. Tasks that cannot be read now are left out.
   * The heads are not kept: hold or drop them in the same turn.
   * @param createdOf where the only entry of a task lies that memory does not have: what it folds to is what its row would say.
   */
  async read(ids: readonly TaskId[], createdOf?: (id: TaskId) => EntryAddress | undefined): Promise<HeadWithInput[]> {
    const located: Asked[] = [];
    const addresses: EntryAddress[] = [];
    const others: Asked[] = [];
    for (const id of ids) {
      const asked = { id, read: this.overlay.rowReads.begin(id) };
      const address = this.overlay.get(id)?.createdAt ?? createdOf?.(id);
      if (address === undefined) others.push(asked);
      else {
        located.push(asked);
        addresses.push(address);
      }
    }
    const [entries, rows] = await Promise.all([this.log.readMany(addresses).catch((): null[] => []), this.rowsOf(others)]);
    const states = located.map(({ id }, at) => createdState(entries[at], id, this.log.logId));
    const missing = located.filter((_, at) => states[at] === null);
    const late = missing.length === 0 ? [] : await this.rowsOf(missing);
    const found: HeadWithInput[] = [];
    this.collect(located, states, found);
    this.collect(others, rows, found);
    this.collect(missing, late, found);
    for (const { read } of [...located, ...others]) read.end();
    return found;
  }

  private rowsOf(asked: readonly Asked[]): Promise<(TaskState | null)[]> {
    return Promise.all(asked.map(({ id }) => this.rowOf(id)));
  }

  /** What was read of a task that memory has meanwhile is only good for its input, which never changes. */
  private collect(asked: readonly Asked[], states: readonly (TaskState | null)[], found: HeadWithInput[]): void {
    asked.forEach(({ id, read }, at) => {
      const state = states[at];
      if (state?.input === undefined) return;
      const head = this.overlay.get(id) ?? (read.isOvertaken ? undefined : this.overlay.adopt(state));
      if (head !== undefined) found.push({ head, input: state.input });
    });
  }
}

/** A task as of its first entry; null: the entry is not there any more. */
const createdState = (entry: LogEntry | null | undefined, id: TaskId, home: string): TaskState | null =>
  entry?.type === 'created' && entry.taskId === id ? fold(null, entry, home) : null;
