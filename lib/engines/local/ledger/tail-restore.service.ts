import type { ScannedFrame } from '../../../contracts/event-log.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { foldOverHole } from '../../../domain/fold.js';
import { scopedKey } from '../../../domain/task-key.js';
import type { CreatedData } from '../../../domain/task-state.js';
import { EventLogService } from '../wal/event-log.service.js';
import { Overlay, withoutBodies } from './overlay.js';
import type { TaskHead } from './task-head.js';
import { TaskReader } from './task-reader.service.js';

/** Rows read at a time for tasks that the tail knows by later entries only. */
const PAGE = 256;

interface Located {
  readonly entry: LogEntry;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Rebuilds the overlay at start: the entries that the database does not have, folded onto what it has. What a repair lost is passed over, as
 * it is where the projector sets such a task aside. Without a database all that
 * is retained is folded, and tasks whose `created` is no longer in the log wait for the first successful read.
 */
export class TailRestore {
  /** Entries of tasks whose row must be read first. */
  private readonly orphans = new Map<string, Located[]>();

  constructor(
    private readonly log: EventLogService,
    private readonly overlay: Overlay,
    private readonly reader: TaskReader,
    private readonly store: TaskStore,
  ) {}

  /** @param fromSeq first log sequence that the database may not have. Entries before it change nothing. */
  async fold(fromSeq: number): Promise<void> {
    for await (const frame of this.log.scan(fromSeq)) this.foldFrame(frame);
  }

  /** True while some tasks wait for their rows. */
  get incomplete(): boolean {
    return this.orphans.size > 0;
  }

  /**
   * Reads rows that were missing, one page of them: call it while `incomplete`.
   * @returns tasks that are known now; nobody is told of them again. @throws RepositoryError: nothing was resolved, call again later.
   */
  async resolveOrphans(): Promise<TaskId[]> {
    const ids = [...this.orphans.keys()].slice(0, PAGE);
    const rows = await this.store.findByIds(ids);
    const resolved: TaskId[] = [];
    for (const id of ids) {
      const located = this.orphans.get(id)!;
      this.orphans.delete(id);
      this.reader.setUnresolved(id, false);
      const row = rows.get(id);
      if (row === undefined) continue; // pruned: what the log says of it was applied, its end included
      const head = this.overlay.adopt(row);
      for (const each of located) this.foldInto(head, each);
      this.overlay.committed(located[located.length - 1]!.entry.seq, [head], head.unflushedEntries);
      resolved.push(id as TaskId);
    }
    return resolved;
  }

  private foldFrame(frame: ScannedFrame): void {
    const heads: TaskHead[] = [];
    let addresses = 0;
    frame.entries.forEach((entry, at) => {
      if (entry.type === 'gap') return;
      const located = { entry, segment: frame.segment, offset: frame.offsets[at]!, length: frame.lengths[at]! };
      const head = this.overlay.get(entry.taskId) ?? this.created(entry);
      if (head === undefined) return this.orphan(located);
      const known = head.unflushedEntries;
      this.foldInto(head, located);
      addresses += head.unflushedEntries - known;
      heads.push(head);
    });
    this.overlay.committed(frame.lastSeq, heads, addresses);
  }

  private created(entry: LogEntry): TaskHead | undefined {
    if (entry.type !== 'created') return undefined;
    const { userId = null, key = null } = entry.data as unknown as CreatedData;
    return this.overlay.begin(entry.taskId, key === null ? null : scopedKey(entry.taskId, userId, key));
  }

  private foldInto(head: TaskHead, { entry, segment, offset, length }: Located): void {
    const after = foldOverHole(head.durable, entry, this.log.logId);
    // A replay: the row had it already, since the cursor may be older than what was scanned.
    if (after === head.durable && entry.taskSeq !== undefined) return;
    head.become(after === null ? null : withoutBodies(after), entry.seq);
    if (entry.taskSeq !== undefined) head.remember(entry.taskSeq, entry.seq, segment, offset, length);
  }

  private orphan(located: Located): void {
    const { taskId } = located.entry;
    const known = this.orphans.get(taskId);
    if (known !== undefined) known.push(located);
    else {
      this.orphans.set(taskId, [located]);
      this.reader.setUnresolved(taskId, true);
    }
  }
}
