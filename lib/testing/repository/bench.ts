import { isDeepStrictEqual } from 'node:util';
import type { IdempotencyKey, TaskId } from '../../contracts/ids.js';
import type { StoredEvent } from '../../contracts/task-event.interface.js';
import type { EventLogEntry, TaskRepository } from '../../contracts/task-repository.interface.js';
import type { Task } from '../../contracts/task.interface.js';
import { ListedTaskRepository } from '../rows/listed-task-repository.js';
import { EntryWriter } from './entry-writer.js';
import { RepositoryFault } from './subject.js';

/** What users see of a task. The rest is the repository's to keep, as `applyEntry` gave it. */
const SHOWN = [
  'id',
  'name',
  'idempotencyKey',
  'userId',
  'type',
  'status',
  'input',
  'result',
  'error',
  'attempt',
  'maxAttempts',
  'fence',
  'recoveries',
  'timeoutMs',
  'cancelRequestedAt',
  'priority',
  'tags',
  'lastSeq',
  'progress',
  'expiresAt',
  'deadLetteredAt',
  'createdAt',
  'runAt',
  'startedAt',
  'completedAt',
  'lastHeartbeatAt',
] as const satisfies (keyof Task)[];
const SHOWN_OF_EVENT = [
  'id',
  'seq',
  'type',
  'eventName',
  'taskId',
  'name',
  'idempotencyKey',
  'userId',
  'attempt',
  'timestamp',
  'payload',
] as const satisfies (keyof StoredEvent)[];

/** One check's hands: the repository under test, and beside it what must be in it. */
export class Bench {
  readonly log = new EntryWriter();
  private given = 0;
  /** Applied by the package's own fold: what each task has to be. */
  private readonly expected = new ListedTaskRepository(() => 0);

  constructor(
    readonly repository: TaskRepository,
    /** Another one on the same store; undefined: not offered. */
    readonly reopened: (() => Promise<TaskRepository>) | undefined,
  ) {}

  /** Gives everything that was written since. */
  async flush(): Promise<void> {
    const entries = this.log.entries.slice(this.given);
    this.given = this.log.entries.length;
    await this.expected.executeBatch(entries);
    await this.repository.executeBatch(entries);
  }

  /** Gives entries again, or in another way: what must be there is what the log says. */
  async expectAll(): Promise<void> {
    await this.expected.executeBatch(this.log.entries);
    this.given = this.log.entries.length;
  }

  /** @throws RepositoryFault unless tasks, events and keys are what the log says. */
  async verify(repository: TaskRepository = this.repository): Promise<void> {
    for (const id of new Set(this.log.entries.map(({ taskId }) => taskId))) await this.verifyTask(id, repository);
  }

  async verifyTask(id: TaskId | string, repository: TaskRepository = this.repository): Promise<void> {
    const taskId = id as TaskId;
    const [task, expected] = [await repository.findById(taskId), await this.expected.findById(taskId)];
    same(`findById(${id})`, task && shown(task), expected && shown(expected));
    const events = (await repository.getEvents(taskId)).map(shownEvent);
    same(`getEvents(${id})`, events, (await this.expected.getEvents(taskId)).map(shownEvent));
    const { scopedKey } = this.log.identityOf(id);
    await this.verifyKey(scopedKey, repository);
  }

  async verifyKey(key: IdempotencyKey, repository: TaskRepository = this.repository): Promise<void> {
    const found = await repository.findByIdempotencyKey(key);
    same(`findByIdempotencyKey(${JSON.stringify(key)})`, found?.id ?? null, (await this.expected.findByIdempotencyKey(key))?.id ?? null);
  }

  /** @throws RepositoryFault unless the batch is refused. */
  async refuses(entries: readonly EventLogEntry[], what: string): Promise<void> {
    const isTaken = await this.repository.executeBatch(entries).then(
      () => true,
      (error: unknown) => {
        if (error instanceof RepositoryFault) throw error;
        return false;
      },
    );
    if (isTaken) throw new RepositoryFault(`executeBatch() resolved for ${what}, which must be rejected.`);
  }

  get oracle(): ListedTaskRepository {
    return this.expected;
  }
}

/** @throws RepositoryFault unless both are equal. */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected))
    throw new RepositoryFault(`${what}: expected ${excerpt(expected)}, got ${excerpt(actual)}${firstDifference(actual, expected)}`);
}

export function holds(what: string, isTrue: boolean): void {
  if (!isTrue) throw new RepositoryFault(what);
}

export const ids = (tasks: readonly Task[]): string[] => tasks.map(({ id }) => id as string);
export const sortedIds = (tasks: readonly Task[]): string[] => ids(tasks).sort();

const plain = (value: unknown): unknown =>
  value instanceof Date ? value : value === undefined ? undefined : JSON.parse(JSON.stringify(value));
const picked = <T extends object>(value: T, members: readonly (keyof T)[]): Record<string, unknown> =>
  Object.fromEntries(members.map((member) => [member, plain(value[member])]));
export const shown = (task: Task): Record<string, unknown> => picked(task, SHOWN);
export const shownEvent = (event: StoredEvent): Record<string, unknown> => picked(event, SHOWN_OF_EVENT);

const MAX_EXCERPT = 600;
function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_EXCERPT ? `${text.slice(0, MAX_EXCERPT)}… (${text.length} characters)` : text;
}

/** Two texts that look alike: a date and its text, say. */
function firstDifference(actual: unknown, expected: unknown): string {
  if (typeof actual !== 'object' || typeof expected !== 'object' || actual === null || expected === null) return '';
  for (const name of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const [a, b] = [(actual as Record<string, unknown>)[name], (expected as Record<string, unknown>)[name]];
    if (isDeepStrictEqual(a, b)) continue;
    const kind = (value: unknown): string => (value instanceof Date ? 'a Date' : Array.isArray(value) ? 'an array' : typeof value);
    return `; first different member: ${name} (expected ${kind(b)}, got ${kind(a)})`;
  }
  return '';
}
