import type { EventLogEntry } from '../../../lib/contracts/task-repository.interface.js';
import { MemoryTaskRepository as Rows } from '../../../lib/testing/rows/memory-task-repository.js';

/** The testing kit's rows; every batch that came is kept. */
export class MemoryTaskRepository extends Rows {
  readonly batches: (readonly EventLogEntry[])[] = [];
  initialized = 0;
  closed = 0;

  constructor() {
    super(Date.now);
  }

  override async initialize(): Promise<void> {
    this.initialized++;
  }

  override async executeBatch(entries: readonly EventLogEntry[]): Promise<void> {
    this.batches.push(entries);
    await super.executeBatch(entries);
  }

  override async close(): Promise<void> {
    this.closed++;
  }
}
