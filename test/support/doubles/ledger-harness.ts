import { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { FactDraft, FactOutcome } from '../../../lib/contracts/fact-port.interface.js';
import { idempotencyKey, type TaskId, taskName } from '../../../lib/contracts/ids.js';
import type { EventLogEntry } from '../../../lib/contracts/task-repository.interface.js';
import { scopedKey } from '../../../lib/domain/task-key.js';
import { EventLogService } from '../../../lib/engines/local/wal/event-log.service.js';
import { Ledger } from '../../../lib/engines/local/ledger/ledger.service.js';
import { Overlay } from '../../../lib/engines/local/ledger/overlay.js';
import { TaskReader } from '../../../lib/engines/local/ledger/task-reader.service.js';
import { SystemIdSource } from '../../../lib/primitives/id-source.js';
import { CustomTaskStore } from '../../../lib/engines/local/storage/custom/custom-task-store.js';
import { FakeClock } from '../clock/fake-clock.js';
import { MemoryTaskRepository } from './memory-task-repository.js';
import { SimulatedDisk } from '../disk/simulated-disk.js';

/** The real ledger over the real log on a simulated disk, with an empty database. */
export class LedgerHarness {
  readonly disk = new SimulatedDisk();
  readonly clock = new FakeClock();
  readonly overlay = new Overlay();
  readonly repository = new MemoryTaskRepository();
  readonly log: EventLogService;
  readonly reader: TaskReader;
  readonly ledger: Ledger;
  private readonly store: CustomTaskStore;
  private readonly ids = new SystemIdSource();

  private constructor() {
    const options = new TaskflowOptions();
    Object.assign(options.eventLog, { eventLogPath: '/data/events.log', minFreeBytes: 0 });
    this.log = new EventLogService(options, this.clock, this.ids, this.disk);
    const cursorFile = { read: async () => null, write: async () => undefined };
    this.store = new CustomTaskStore(this.repository, { clock: this.clock, cursorFile, logId: () => this.log.logId });
    this.reader = new TaskReader(this.log, this.overlay, this.store);
    this.ledger = new Ledger(this.log, this.overlay, this.reader);
  }

  static async open(): Promise<LedgerHarness> {
    const harness = new LedgerHarness();
    await harness.log.open(harness.ledger);
    await harness.store.open();
    return harness;
  }

  /** A task in the given state, all of it durable. */
  async task(status: 'created' | 'running' | 'failed'): Promise<TaskId> {
    const id = this.ids.uuid() as TaskId;
    const drafts: FactDraft[] = [{ type: 'created', taskId: id, data: { name: 'work', maxAttempts: 3, timeoutMs: 1000, input: 1 } }];
    if (status !== 'created') drafts.push({ type: 'start', taskId: id });
    if (status === 'failed')
      drafts.push({ type: 'error', taskId: id, data: { error: { name: 'Error', message: 'no', retryable: false } } });
    this.ledger.retain(id);
    await this.ledger.append(drafts);
    return id;
  }

  /** A running task that the database knows, and memory does not. @param timestamp of its events, by the clock of who made them. */
  async runningRow(timestamp = 1): Promise<TaskId> {
    const id = this.ids.uuid() as TaskId;
    const same = { ...identityOf(id), taskId: id, attempt: 1, ownerId: 'earlier', timestamp };
    await this.repository.executeBatch([
      { ...same, seq: 1, type: 'created', taskSeq: 1, fence: 0, data: { name: 'work', maxAttempts: 3, timeoutMs: 1000, input: 1 } },
      { ...same, seq: 2, type: 'start', taskSeq: 2, fence: 1, data: {} },
    ]);
    return id;
  }

  /** The database takes the log's entries of a task that it knows already, and memory is told. */
  async flush(id: TaskId): Promise<void> {
    const entries: EventLogEntry[] = [];
    for await (const frame of this.log.scan(1)) {
      for (const entry of frame.entries)
        if (entry.taskId === id) entries.push({ ...identityOf(id), ...entry, ownerId: entry.owner, timestamp: entry.at });
    }
    await this.repository.executeBatch(entries);
    this.overlay.applied(this.log.durableSeq);
  }

  /** What became of an append: its outcome, or the code of the error. */
  async outcome(append: Promise<FactOutcome>): Promise<string> {
    return append.then(
      (outcome) => outcome.kind,
      (error: { code: string; outcome: string }) => `${error.code}/${error.outcome}`,
    );
  }

  /** The entries of a task as they lie in the log. */
  async entries(id: TaskId): Promise<string[]> {
    const found: string[] = [];
    for await (const frame of this.log.scan(1)) {
      for (const entry of frame.entries)
        if (entry.taskId === id) found.push(entry.taskSeq === undefined ? entry.type : `${entry.taskSeq} ${entry.type}`);
    }
    return found;
  }
}

const identityOf = (id: TaskId): Pick<EventLogEntry, 'name' | 'userId' | 'scopedKey'> => ({
  name: taskName('work'),
  userId: null,
  scopedKey: idempotencyKey(scopedKey(id, null, null)),
});
