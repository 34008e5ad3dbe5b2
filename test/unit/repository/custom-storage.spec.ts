import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import type { EventLogEntry } from '../../../lib/contracts/task-repository.interface.js';
import type { Page, ListOptions } from '../../../lib/contracts/task-system.interface.js';
import type { CursorFile, FlushBatch, FlushCursor } from '../../../lib/contracts/task-store.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { splitAtPruned } from '../../../lib/engines/local/storage/custom/custom-projector.js';
import { CursorMovedError } from '../../../lib/engines/local/storage/flush.errors.js';
import { createProjector, createTaskStore } from '../../../lib/engines/local/storage/repository.factory.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { MemoryTaskRepository } from '../../support/doubles/memory-task-repository.js';

class MemoryCursorFile implements CursorFile {
  cursor: FlushCursor | null = null;
  failing = false;
  async read(): Promise<FlushCursor | null> {
    return this.cursor;
  }
  async write(cursor: FlushCursor): Promise<void> {
    if (this.failing) throw new Error('disk');
    this.cursor = cursor;
  }
}

/** With the refinements; pages of two, and a cursor that nobody else can read. */
class ListingRepository extends MemoryTaskRepository {
  pages = 0;
  async list(options: ListOptions): Promise<Page<Task>> {
    this.pages++;
    const at = (task: Task): number => (options.deadLettered ? task.deadLetteredAt!.getTime() : task.createdAt.getTime());
    const all = [...this.tasks.values()]
      .filter((task) => !options.deadLettered || task.deadLetteredAt !== null)
      .filter((task) => options.name === undefined || task.name === options.name)
      .sort((a, b) => at(b) - at(a));
    const from = options.cursor === undefined ? 0 : Number(options.cursor.slice(5));
    return { items: all.slice(from, from + 2), nextCursor: from + 2 < all.length ? `page-${from + 2}` : null };
  }
  async findEnded(before: Date, limit: number): Promise<Task[]> {
    return [...this.tasks.values()].filter((task) => task.completedAt !== null && task.completedAt < before).slice(0, limit);
  }
}

function storage<R extends MemoryTaskRepository>(repository: R, script: EntryScript) {
  const options = { type: 'custom', repository } as unknown as RepositoryOptions;
  const cursorFile = new MemoryCursorFile();
  const ports = {
    clock: new SystemClock(),
    ensureFile: async () => undefined,
    sharesProcessWithLog: true,
    cursorFile,
    logId: () => script.logId,
  };
  const store = createTaskStore(options, ports);
  const bridged: [string, number][] = [];
  const report = {
    keyConflict: () => undefined,
    quarantined: () => undefined,
    bridged: (taskId: string, entries: number) => void bridged.push([taskId, entries]),
  };
  const projector = createProjector(options, ports, report, { store, cursorFile });
  return { store, projector, cursorFile, bridged };
}

describe('Custom storage', () => {
  it('is initialised and closed once, though both sides open and close it', async () => {
    const repository = new MemoryTaskRepository();
    const { store, projector } = storage(repository, new EntryScript());
    await Promise.all([store.open(), projector.open(), store.open()]);
    await projector.close();
    await store.close();
    await store.close();
    expect([repository.initialized, repository.closed]).toEqual([1, 1]);
  });

  it('gets complete entries in log order, and never gap or adopted', async () => {
    const script = new EntryScript();
    const repository = new MemoryTaskRepository();
    const { projector } = storage(repository, script);
    const id = randomUUID();
    script.created(id, { userId: 'ada', key: 'k' });
    script.add('gap', '');
    script.add('start', id);
    script.add('heartbeat', id);
    script.add('adopted', id);
    script.add('cancel', id);
    await projector.apply(script.batch(null));
    const given = repository.batches.flat();
    expect(given.map((entry) => entry.type)).toEqual(['created', 'start', 'heartbeat', 'cancel']);
    expect(new Set(given.map((entry) => `${entry.name} ${entry.userId} ${entry.scopedKey}`))).toEqual(new Set(['send-email ada u3:ada:k']));
  });

  it('learns name, owner and key from the repository when created was long ago', async () => {
    const script = new EntryScript();
    const repository = new MemoryTaskRepository();
    const id = randomUUID();
    script.created(id, { userId: 'ada' });
    const first = await storage(repository, script).projector.apply(script.batch(null));
    script.add('start', id);
    script.add('start', randomUUID(), {}, { taskSeq: 7 }); // of a task that was pruned before a crash
    const restarted = storage(repository, script);
    restarted.cursorFile.cursor = first.cursor;
    await restarted.projector.apply(script.batch(first.cursor));
    expect(repository.batches[1]).toHaveLength(1);
    expect(repository.batches[1]![0]).toMatchObject({ type: 'start', name: 'send-email', userId: 'ada', scopedKey: id });
  });

  it('moves its cursor only after the batch, and gives the batch again when that failed', async () => {
    const script = new EntryScript();
    const repository = new MemoryTaskRepository();
    const { projector, cursorFile, store } = storage(repository, script);
    const id = randomUUID();
    script.created(id);
    script.complete(id);
    cursorFile.failing = true;
    const failure = await projector.apply(script.batch(null)).catch((error: unknown) => error);
    expect(RepositoryError.is(failure) && failure.code).toBe('UNAVAILABLE');
    expect(projector.isTransient(failure)).toBe(true);
    cursorFile.failing = false;
    const before = await store.findByIds([id]);
    await projector.apply(script.batch(null));
    expect(repository.batches).toHaveLength(2);
    expect(await store.findByIds([id])).toEqual(before);
    expect(await store.cursor(script.logId)).toEqual(script.cursorAt(3));
    expect(await store.cursor('another log')).toBeNull();
    await expect(projector.apply(script.batch(null))).rejects.toBeInstanceOf(CursorMovedError);
  });

  it('is never given a gap: in the places of what a repair of the log lost it gets events that say so, also when a batch comes again', async () => {
    const script = new EntryScript();
    const [id, other] = [randomUUID(), randomUUID()];
    script.created(id);
    script.created(other);
    script.add('start', id);
    for (let n = 0; n < 3; n++) script.add('progress', id, { payload: n });
    script.add('retry', id, { reason: 'failed', runAt: 1, delayMs: 1, error: { name: 'Error', message: 'no', retryable: true } });
    script.add('start', id);
    script.add('complete', id, { result: 'done' });
    script.complete(other);
    // Entries 4 and 5 are lost, and 7 and 8: the retry and the second start.
    const kept = script.entries.filter(({ seq }) => ![4, 5, 7, 8].includes(seq));
    const repository = new MemoryTaskRepository();
    const use = storage(repository, script);
    const until = (seq: number): FlushBatch => ({ ...script.batch(null, seq), entries: kept.filter((entry) => entry.seq <= seq) });
    await use.projector.open();
    use.cursorFile.failing = true;
    await expect(use.projector.apply(until(6))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    use.cursorFile.failing = false;
    const first = await use.projector.apply(until(6));
    // A process that was started since knows the task by its row.
    const next = createProjector(
      { type: 'custom', repository } as unknown as RepositoryOptions,
      { clock: new SystemClock(), ensureFile: async () => undefined, sharesProcessWithLog: true },
      { keyConflict: () => undefined, quarantined: () => undefined },
      { store: use.store, cursorFile: use.cursorFile },
    );
    await next.apply({ ...script.batch(first.cursor), entries: kept.filter(({ seq }) => seq > 6) });
    expect(repository.tasks.get(id)).toMatchObject({ status: 'completed', lastSeq: 8, fence: 2, result: 'done' });
    expect(repository.tasks.get(other)).toMatchObject({ status: 'completed', lastSeq: 3 });
    expect(repository.events.get(id)!.map((event) => `${event.seq} ${event.eventName ?? event.type}`)).toEqual([
      '1 created',
      '2 start',
      '3 taskflow.entry-lost',
      '4 taskflow.entry-lost',
      '5 progress',
      '6 taskflow.entry-lost',
      '7 start',
      '8 complete',
    ]);
    expect(use.bridged).toEqual([[id, 2]]);
  });

  it('never shares a batch between pruned and another entry of its task', () => {
    const entry = (type: string, taskId: string): EventLogEntry => ({ type, taskId }) as EventLogEntry;
    const text = (batches: EventLogEntry[][]): string =>
      batches.map((batch) => batch.map((one) => `${one.type[0]}${one.taskId}`).join('')).join('|');
    expect(text(splitAtPruned([entry('start', '1'), entry('pruned', '2'), entry('pruned', '3'), entry('start', '4')]))).toBe('s1p2p3s4');
    expect(
      text(splitAtPruned([entry('start', '1'), entry('start', '2'), entry('pruned', '1'), entry('start', '3'), entry('created', '1')])),
    ).toBe('s1s2|p1s3|c1');
    expect(splitAtPruned([])).toEqual([]);
  });

  it('finds by id and key, pages events and unfinished tasks', async () => {
    const script = new EntryScript();
    const { store, projector } = storage(new MemoryTaskRepository(), script);
    const ids = Array.from({ length: 12 }, () => randomUUID() as string);
    for (const id of ids) script.created(id, id === ids[0] ? { key: 'k' } : {});
    script.add('start', ids[3]!);
    for (let n = 0; n < 5; n++) script.add('custom', ids[3]!, { eventName: 'note', payload: n });
    script.complete(ids[5]!);
    await projector.apply(script.batch(null));
    const found = await store.findByKeys(['n:k', ids[1]!, 'n:none']);
    expect([found.get('n:k')?.id, found.get(ids[1]!)?.id, found.size]).toEqual([ids[0], ids[1], 2]);
    const after = await store.entriesAfter(ids[3]!, 4, 2);
    expect(after.map((entry) => [entry.taskSeq, entry.body])).toEqual([
      [5, '{"eventName":"note","payload":2}'],
      [6, '{"eventName":"note","payload":3}'],
    ]);
    const first = await store.unfinished(script.logId, undefined, null, 6);
    const rest = await store.unfinished(script.logId, undefined, { at: first[5]!.createdAt, id: first[5]!.id }, 6);
    expect([...first, ...rest].map((task) => ids.indexOf(task.id))).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
    expect(first[0]!.input).toBeUndefined();
    // Two scans at once do not meet.
    const [created] = await Promise.all([
      store.unfinished(script.logId, 'created', null, 4),
      store.unfinished(script.logId, 'running', null, 4),
    ]);
    const more = await store.unfinished(script.logId, 'created', { at: created[3]!.createdAt, id: created[3]!.id }, 100);
    expect([...created, ...more]).toHaveLength(10);
    expect(await store.unfinished('elsewhere', undefined, null, 6)).toEqual([]);
  });

  it('says NOT_SUPPORTED for lists and dead letters, and prunes nothing, without the refinements', async () => {
    const script = new EntryScript();
    const { store } = storage(new MemoryTaskRepository(), script);
    for (const asked of [store.list({ limit: 1 }), store.countDeadLetters(0, 1), store.deadLetterRank(0, { at: 0, id: '' })]) {
      const error = await asked.catch((failure: unknown) => failure);
      expect(RepositoryError.is(error) && error.code).toBe('NOT_SUPPORTED');
    }
    expect(await store.prunable(script.logId, 1e15, 1e15, 10)).toEqual([]);
  });

  it('lists, ranks and prunes with them, whatever their page cursors look like', async () => {
    const script = new EntryScript();
    const repository = new ListingRepository();
    const { store, projector } = storage(repository, script);
    const ids = Array.from({ length: 7 }, () => randomUUID() as string);
    for (const id of ids) script.created(id);
    for (const id of ids.slice(0, 5)) script.fail(id);
    script.complete(ids[5]!);
    await projector.apply(script.batch(null));
    const seen: number[] = [];
    for (let page = await store.list({ limit: 2 }); page.length > 0;) {
      seen.push(...page.map((task) => ids.indexOf(task.id)));
      const last = page.at(-1)!;
      page = await store.list({ limit: 2, after: { at: last.createdAt, id: last.id } });
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0]);
    expect(repository.pages).toBeLessThan(9); // remembered, not walked from the start each time
    const dead = await store.list({ deadLetteredSince: 0, limit: 10 });
    expect(dead.map((task) => ids.indexOf(task.id))).toEqual([4, 3, 2, 1, 0]);
    expect(await store.deadLetterRank(0, { at: dead[3]!.deadLetteredAt!, id: dead[3]!.id })).toBe(3);
    expect(await store.countDeadLetters(0, 3)).toBe(3);
    expect(await store.countDeadLetters(dead[1]!.deadLetteredAt!, 10)).toBe(2);
    const end = script.entries.at(-1)!.at + 1;
    expect((await store.prunable(script.logId, end, 0, 1)).map((task) => ids.indexOf(task.id))).toEqual([5]);
  });
});
