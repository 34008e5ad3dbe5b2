import { idempotencyKey, taskId, taskName, userId } from '../../contracts/ids.js';
import type { EntryType } from '../../contracts/task-event.interface.js';
import type { EventLogEntry } from '../../contracts/task-repository.interface.js';
import { isControl } from '../../domain/entry-types.js';
import { frozenJson } from '../../domain/frozen.js';
import { scopedKey } from '../../domain/task-key.js';

/** What a task is created with. */
export interface NewTask {
  readonly name?: string;
  readonly userId?: string | null;
  readonly key?: string;
  readonly input?: unknown;
  readonly tags?: readonly string[];
  readonly runAt?: number;
}

type Identity = Pick<EventLogEntry, 'taskId' | 'name' | 'userId' | 'scopedKey'>;
interface Head {
  identity: Identity;
  lastSeq: number;
  fence: number;
  attempt: number;
}

/** Writes a log as the task system would: numbered, complete, in order. Each entry is frozen, since it is shared. */
export class EntryWriter {
  readonly entries: EventLogEntry[] = [];
  private readonly heads = new Map<string, Head>();

  /** @param at time of the first entry, epoch ms; the others follow a second apart. */
  constructor(private at = 1_700_000_000_000) {}

  /** @returns the id of a new task. */
  create({ name = 'send-email', userId: owner = null, key, input = { to: 'a@b.example' }, tags, runAt }: NewTask = {}): string {
    const id = `01890000-0000-7000-8000-${(this.heads.size + 1).toString(16).padStart(12, '0')}`;
    const identity: Identity = {
      taskId: taskId(id),
      name: taskName(name),
      userId: owner === null ? null : userId(owner),
      scopedKey: scopedKey(taskId(id), owner, key ?? null),
    };
    this.heads.set(id, { identity, lastSeq: 0, fence: 0, attempt: 1 });
    this.add(id, 'created', {
      name,
      ...(owner === null ? {} : { userId: owner }),
      ...(key === undefined ? {} : { key }),
      input,
      maxAttempts: 3,
      timeoutMs: 60_000,
      ...(tags === undefined ? {} : { tags }),
      ...(runAt === undefined ? {} : { runAt }),
    });
    return id;
  }

  /** @param overrides what is to be wrong with it, or old. */
  add(id: string, type: EntryType, data: Record<string, unknown> = {}, overrides: Partial<EventLogEntry> = {}): EventLogEntry {
    const head = this.headOf(id);
    if (type === 'start') head.fence += 1;
    const entry: EventLogEntry = frozenJson({
      seq: this.entries.length + 1,
      type,
      ...head.identity,
      ...(isControl(type) ? {} : { taskSeq: (head.lastSeq += 1) }),
      attempt: head.attempt,
      fence: head.fence,
      ownerId: 'owner-1',
      timestamp: (this.at += 1_000),
      data,
      ...overrides,
    }) as EventLogEntry;
    if (type === 'retry' && data['reason'] === 'failed') head.attempt += 1;
    this.entries.push(entry);
    return entry;
  }

  start(id: string): void {
    this.add(id, 'start');
  }

  progress(id: string, payload: unknown): void {
    this.add(id, 'progress', { payload });
  }

  complete(id: string, result: unknown = { sent: true }): void {
    this.start(id);
    this.add(id, 'complete', { result });
  }

  fail(id: string): void {
    this.start(id);
    this.add(id, 'error', { error: { name: 'Error', message: 'no', retryable: false } });
  }

  /** One failed attempt, after which it waits. */
  retry(id: string): void {
    this.start(id);
    const error = { name: 'Error', message: 'not yet', retryable: true };
    this.add(id, 'retry', { reason: 'failed', runAt: this.at + 5_000, delayMs: 5_000, error });
  }

  /** The older, ended task gives its key to a new one: it is found by its id from then on. */
  handKeyOver(older: string, { key, userId: owner = null }: { key: string; userId?: string | null }): string {
    const { identity } = this.headOf(older);
    const next = `01890000-0000-7000-8000-${(this.heads.size + 1).toString(16).padStart(12, '0')}`;
    this.headOf(older).identity = { ...identity, scopedKey: idempotencyKey(older) };
    this.add(older, 'dlq-removed', { supersededBy: next });
    return this.create({ key, userId: owner });
  }

  identityOf(id: string): Identity {
    return this.headOf(id).identity;
  }

  private headOf(id: string): Head {
    const head = this.heads.get(id);
    if (head === undefined) throw new Error(`There is no task ${id}.`);
    return head;
  }
}
