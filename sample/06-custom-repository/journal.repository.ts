import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  applyEntry,
  type EventLogEntry,
  type IdempotencyKey,
  type ListOptions,
  type Page,
  type StoredEvent,
  type Task,
  type TaskId,
  type TaskRepository,
  toStoredEvent,
} from 'nestjs-taskflow';

interface Row {
  readonly task: Task;
  readonly events: StoredEvent[];
}
interface Change {
  readonly entry: EventLogEntry;
  readonly row: Row | undefined;
}

/**
 * Tasks in memory, and every entry that made them in a file of JSON lines. Small on purpose: what it does for a file, a repository for
 * another storage does in a transaction.
 */
export class JournalRepository implements TaskRepository {
  private readonly rows = new Map<string, Row>();
  private readonly keys = new Map<string, string>();
  private opening: Promise<FileHandle> | undefined;
  private tail: Promise<unknown> = Promise.resolve();
  private sizeBytes = 0;

  constructor(private readonly path: string) {}

  /** Called again when it failed: a storage may come up later than the application. */
  async initialize(): Promise<void> {
    this.opening ??= this.open();
    await this.opening.catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
  }

  /** One after the other: a batch that came late must see what a newer one has done. */
  executeBatch(entries: readonly EventLogEntry[]): Promise<void> {
    const done = this.tail.then(() => this.append(entries));
    this.tail = done.catch(() => undefined);
    return done;
  }

  async findById(taskId: TaskId): Promise<Task | null> {
    return this.rows.get(taskId)?.task ?? null;
  }

  async findByIdempotencyKey(scopedKey: IdempotencyKey): Promise<Task | null> {
    return this.rows.get(this.keys.get(scopedKey) ?? '')?.task ?? null;
  }

  async findStaleTasks(threshold: number): Promise<Task[]> {
    const unfinished = this.all(({ status }) => status === 'created' || status === 'running');
    // Zero means all of them, those included that a clock which was set back makes younger than now.
    if (threshold === 0) return unfinished;
    const before = Date.now() - threshold;
    return unfinished.filter((task) => (task.lastHeartbeatAt ?? task.createdAt).getTime() <= before);
  }

  async getEvents(taskId: TaskId): Promise<StoredEvent[]> {
    return [...(this.rows.get(taskId)?.events ?? [])];
  }

  async healthCheck(): Promise<boolean> {
    return this.opening !== undefined;
  }

  async close(): Promise<void> {
    await this.tail;
    const file = await this.opening?.catch(() => undefined);
    this.opening = undefined;
    await file?.close();
  }

  /** Without it `tasks.list()` and dead letters are NOT_SUPPORTED. The cursor is a position, not a count: tasks are added meanwhile. */
  async list({ limit = 50, cursor, ...filter }: ListOptions): Promise<Page<Task>> {
    const at = (task: Task): number => ((filter.deadLettered === true ? task.deadLetteredAt : task.createdAt) ?? new Date(0)).getTime();
    const position = (task: Task): string => `${String(at(task)).padStart(15, '0')}:${task.id}`;
    const found = this.all((task) => matches(task, filter) && (cursor === undefined || position(task) < cursor));
    found.sort((a, b) => (position(a) < position(b) ? 1 : -1));
    const items = found.slice(0, limit);
    return { items, nextCursor: found.length > items.length ? position(items.at(-1)!) : null };
  }

  /** Without it nothing is ever pruned. */
  async findEnded(before: Date, limit: number): Promise<Task[]> {
    const ended = this.all(({ completedAt }) => completedAt !== null && completedAt < before);
    return ended.sort((a, b) => a.completedAt!.getTime() - b.completedAt!.getTime() || (a.id < b.id ? -1 : 1)).slice(0, limit);
  }

  private all(isAsked: (task: Task) => boolean): Task[] {
    return [...this.rows.values()].map(({ task }) => task).filter(isAsked);
  }

  private async open(): Promise<FileHandle> {
    await mkdir(dirname(this.path), { recursive: true });
    const file = await open(this.path, 'a+');
    const text = await file.readFile('utf8');
    // What stands behind the last line end was cut off by a crash: it was never confirmed, and comes again.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    await file.truncate((this.sizeBytes = Buffer.byteLength(whole)));
    const lines = whole.split('\n').filter((line) => line !== '');
    this.commit(this.folded(lines.map((line) => JSON.parse(line) as EventLogEntry)));
    return file;
  }

  private async append(entries: readonly EventLogEntry[]): Promise<void> {
    const file = await this.opening;
    if (file === undefined) throw new Error('The journal is not open.');
    // Folded first: what cannot be applied must not be written either.
    const changes = this.folded(entries);
    if (changes.length === 0) return;
    const lines = Buffer.from(changes.map(({ entry }) => `${JSON.stringify(entry)}\n`).join(''));
    try {
      await file.appendFile(lines);
      await file.datasync();
    } catch (error) {
      await file.truncate(this.sizeBytes);
      throw error;
    }
    this.sizeBytes += lines.length;
    this.commit(changes);
  }

  /** The entries that change something, each with the row that it leads to; `undefined`: deleted. Throws on a hole. */
  private folded(entries: readonly EventLogEntry[]): Change[] {
    const touched = new Map<string, Row | undefined>();
    const changes: Change[] = [];
    for (const entry of entries) {
      const known = this.rows.get(entry.taskId);
      // A copy: nobody sees it before it is on disk.
      if (!touched.has(entry.taskId)) touched.set(entry.taskId, known && { task: known.task, events: [...known.events] });
      const before = touched.get(entry.taskId);
      const task = applyEntry(before?.task ?? null, entry);
      if (task === (before?.task ?? null)) continue;
      const events = before?.events ?? [];
      const event = toStoredEvent(entry); // null: a control entry
      if (event !== null) events.push(event);
      const row = task === null ? undefined : { task, events };
      touched.set(entry.taskId, row);
      changes.push({ entry, row });
    }
    return changes;
  }

  private commit(changes: readonly Change[]): void {
    for (const { entry, row } of changes) {
      if (row !== undefined) {
        this.rows.set(entry.taskId, row);
        this.keys.set(entry.scopedKey, entry.taskId);
        continue;
      }
      this.rows.delete(entry.taskId);
      // A newer task may have the key by now.
      if (this.keys.get(entry.scopedKey) === (entry.taskId as string)) this.keys.delete(entry.scopedKey);
    }
  }
}

/** `userId` left out: all owners; null: tasks without one. */
const matches = (task: Task, filter: ListOptions): boolean =>
  (!('userId' in filter) || filter.userId === task.userId) &&
  (filter.status === undefined || filter.status === task.status) &&
  (filter.name === undefined || filter.name === task.name) &&
  (filter.tag === undefined || task.tags.includes(filter.tag)) &&
  (filter.deadLettered !== true || task.deadLetteredAt !== null);
