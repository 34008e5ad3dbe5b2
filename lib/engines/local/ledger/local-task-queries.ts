import type { TaskId } from '../../../contracts/ids.js';
import type { StoredEntry } from '../../../contracts/task-history.interface.js';
import type { TaskPage, TaskQueries, TaskQuery } from '../../../contracts/task-queries.interface.js';
import type { Owner } from '../../../domain/owner.js';
import type { TaskState } from '../../../domain/task-state.js';
import { DeadLetterCensus } from './dead-letter-census.service.js';
import { TaskList } from './task-list.service.js';
import { TaskReader } from './task-reader.service.js';

/** Answers from rows with the overlay laid over them: one task by the reader, pages by the list, counts by the census. */
export class LocalTaskQueries implements TaskQueries {
  constructor(
    private readonly reader: TaskReader,
    private readonly tasks: TaskList,
    private readonly census: DeadLetterCensus,
  ) {}

  find(id: TaskId, owner?: Owner): Promise<TaskState | null> {
    return this.reader.load(id, true, owner);
  }

  peek(id: TaskId, owner?: Owner): Promise<TaskState | null> {
    return this.reader.peek(id, owner);
  }

  findByKey(scopedKey: string): Promise<TaskState | null> {
    return this.reader.findByKey(scopedKey);
  }

  page(query: TaskQuery): Promise<TaskPage> {
    return this.tasks.page(query);
  }

  countDeadLetters(since: number, atMost: number): Promise<number> {
    return this.census.count(since, atMost);
  }

  isAmongNewestDead(dead: TaskState, since: number, size: number): Promise<boolean> {
    return this.census.isAmongNewest(dead, since, size);
  }

  load(id: TaskId, bodies?: boolean): Promise<TaskState | null> {
    return this.reader.load(id, bodies);
  }

  after(id: TaskId, afterSeq: number, limit: number): Promise<readonly StoredEntry[]> {
    return this.reader.after(id, afterSeq, limit);
  }
}
