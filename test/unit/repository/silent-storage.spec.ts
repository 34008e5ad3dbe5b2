import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import type { EventLogEntry } from '../../../lib/contracts/task-repository.interface.js';
import type { FlushCursor, Projector, TaskStore } from '../../../lib/contracts/task-store.interface.js';
import { createProjector, createTaskStore } from '../../../lib/engines/local/storage/repository.factory.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { isSilence } from '../../../lib/repository/answer-limit.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';
import { MemoryTaskRepository } from '../../support/doubles/memory-task-repository.js';

const never = (): Promise<never> => new Promise(() => undefined);
const MEMBERS = [
  'initialize',
  'executeBatch',
  'findById',
  'findByIdempotencyKey',
  'findStaleTasks',
  'getEvents',
  'healthCheck',
  'close',
] as const;
type Member = (typeof MEMBERS)[number];

/** Each member can fall silent, throw at once, or answer late. */
class UnsoundRepository extends MemoryTaskRepository {
  readonly calls: Member[] = [];
  how: 'sound' | 'silent' | 'throws' = 'sound';
  /** Batches that were given and are answered by hand. */
  held: { entries: readonly EventLogEntry[]; apply: () => Promise<void> }[] | undefined;

  constructor() {
    super();
    for (const member of MEMBERS) {
      const own = this[member].bind(this) as (...args: unknown[]) => Promise<unknown>;
      (this as Record<Member, unknown>)[member] = (...args: unknown[]): unknown => {
        this.calls.push(member);
        if (this.how === 'silent') return never();
        if (this.how === 'throws') throw new Error(`${member} is out of order`);
        return member === 'executeBatch' && this.held !== undefined ? this.hold(args[0] as readonly EventLogEntry[], own) : own(...args);
      };
    }
  }

  private hold(entries: readonly EventLogEntry[], own: (...args: unknown[]) => Promise<unknown>): Promise<void> {
    return new Promise((resolve) =>
      this.held!.push({
        entries,
        apply: async () => {
          await own(entries);
          resolve();
        },
      }),
    );
  }
}

function setUp() {
  const clock = new FakeClock();
  const repository = new UnsoundRepository();
  const script = new EntryScript();
  let cursor: FlushCursor | null = null;
  const cursorFile = { read: async () => cursor, write: async (to: FlushCursor) => void (cursor = to) };
  const silences: boolean[] = [];
  const ports = {
    clock,
    ensureFile: async () => undefined,
    sharesProcessWithLog: true,
    cursorFile,
    logId: () => script.logId,
    onSilence: (isSilent: boolean) => void silences.push(isSilent),
  };
  const options = { type: 'custom', repository } as unknown as RepositoryOptions;
  const store = createTaskStore(options, ports);
  const projector = createProjector(options, ports, { keyConflict: () => undefined, quarantined: () => undefined }, { store, cursorFile });
  const refusalOf = async (work: Promise<unknown>, waitMs: number): Promise<RepositoryError> => {
    let refusal: unknown;
    void work.catch((error: unknown) => (refusal = error));
    await clock.run(waitMs);
    expect(RepositoryError.is(refusal)).toBe(true);
    return refusal as RepositoryError;
  };
  return { clock, repository, script, store, projector, silences, refusalOf, cursor: () => cursor };
}

const id = randomUUID();
const READS: readonly [string, (store: TaskStore, home: string) => Promise<unknown>, number][] = [
  ['findById', (store) => store.findByIds([id]), 10_000],
  ['findByIdempotencyKey', (store) => store.findByKeys(['key']), 10_000],
  ['getEvents', (store) => store.entriesAfter(id, 0, 10), 10_000],
  ['findStaleTasks', (store, home) => store.unfinished(home, undefined, null, 10), 60_000],
];

describe('A custom repository that neither answers nor fails', () => {
  it.each(READS)('has its reads refused in time, and is asked again: %s', async (member, read, limitMs) => {
    const { store, repository, script, silences, refusalOf } = setUp();
    await store.open();
    repository.how = 'silent';
    const error = await refusalOf(read(store, script.logId), limitMs);
    expect([error.code, isSilence(error), store.isSilent]).toEqual(['UNAVAILABLE', true, true]);
    repository.how = 'sound';
    await read(store, script.logId);
    expect([store.isSilent, silences]).toEqual([false, [true, false]]);
    expect(repository.calls.filter((call) => call === member)).toHaveLength(2);
  });

  it.each(['getEvents', 'findStaleTasks'] as const)('has a read refused, by name, that is answered with no array: %s', async (member) => {
    const { store, repository, script } = setUp();
    await store.open();
    const [, read] = READS.find(([name]) => name === member)!;
    for (const answer of [undefined, null, 'none'])
      await expect(((repository[member] = async () => answer as never), read(store, script.logId))).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining(`${member}() answered with`) as unknown,
      });
  });

  it('refuses sooner while it is known to be silent, and waits its whole time again after a late answer', async () => {
    const { store, repository, clock, refusalOf } = setUp();
    await store.open();
    let answer = (): void => undefined;
    repository.findById = () => new Promise((resolve) => (answer = () => resolve(null)));
    await refusalOf(store.findByIds([id]), 10_000);
    await refusalOf(store.findByIds([id]), 2_000);
    answer();
    await settle();
    expect(store.isSilent).toBe(false);
    let isRefused = false;
    void store.findByIds([id]).catch(() => (isRefused = true));
    await clock.run(9_999);
    expect(isRefused).toBe(false);
    await clock.run(1);
    expect(isRefused).toBe(true);
  });

  it('is not healthy, and does not hold up its closing', async () => {
    const { store, repository, clock, refusalOf } = setUp();
    await store.open();
    repository.how = 'silent';
    const health = store.healthCheck();
    await clock.run(10_000);
    expect(await health).toBe(false);
    await refusalOf(store.close(), 5_000);
  });

  it('does not hold up a start, is initialised once meanwhile, and again when that is taken for lost', async () => {
    const { store, repository, clock, refusalOf } = setUp();
    repository.how = 'silent';
    await Promise.all([refusalOf(store.open(), 15_000), refusalOf(store.open(), 15_000)]);
    await refusalOf(store.open(), 2_000);
    expect(repository.calls).toEqual(['initialize']);
    repository.how = 'sound';
    await clock.run(15_000);
    await store.open();
    expect(repository.calls).toEqual(['initialize', 'initialize']);
    expect(store.isOpen).toBe(true);
  });

  it('closes what an initialisation opens after the end', async () => {
    const { store, repository, clock } = setUp();
    let opened = (): void => undefined;
    repository.initialize = () => new Promise((resolve) => (opened = resolve));
    void store.open().catch(() => undefined);
    const closed = store.close();
    await clock.run(5_000);
    await closed;
    expect(repository.closed).toBe(0);
    opened();
    await settle();
    expect(repository.closed).toBe(1);
  });
});

describe('A custom repository without all of its members', () => {
  it('is refused by name before anything is opened', () => {
    const repository = Object.assign(Object.create(null) as object, { initialize: async () => undefined, findById: async () => null });
    const options = { type: 'custom', repository } as unknown as RepositoryOptions;
    expect(() => createTaskStore(options, {} as never)).toThrow(
      'Missing: executeBatch, findByIdempotencyKey, findStaleTasks, getEvents, healthCheck, close.',
    );
  });
});

describe('A custom repository that throws at once, or answers with no promise', () => {
  it.each(READS)('fails as one that rejects: %s', async (_member, read) => {
    const { store, repository, script } = setUp();
    await store.open();
    repository.how = 'throws';
    await expect(read(store, script.logId)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await store.healthCheck()).toBe(false);
    expect(store.isSilent).toBe(false);
  });

  it('is written to and read all the same', async () => {
    const { store, projector, repository, script } = setUp();
    await store.open();
    const batches: (readonly EventLogEntry[])[] = [];
    repository.executeBatch = ((entries: readonly EventLogEntry[]) => void batches.push(entries)) as never;
    repository.findById = (() => null) as never;
    script.created(id);
    await projector.apply(script.batch(null));
    expect(batches).toHaveLength(1);
    expect((await store.findByIds([id])).size).toBe(0);
  });
});

describe('A batch that a custom repository does not answer', () => {
  const given = async () => {
    const house = setUp();
    await house.store.open();
    house.repository.held = [];
    const first = randomUUID();
    house.script.created(first);
    house.script.add('progress', first);
    const apply = (to?: number): ReturnType<Projector['apply']> => house.projector.apply(house.script.batch(house.cursor(), to));
    const seqs = (): number[][] => house.repository.held!.map(({ entries }) => entries.map(({ seq }) => seq));
    return { ...house, first, apply, seqs };
  };

  it('is away in time, and nothing is given beside it', async () => {
    const { apply, seqs, refusalOf, script, first } = await given();
    expect(isSilence(await refusalOf(apply(), 10_000))).toBe(true);
    script.complete(first);
    expect(isSilence(await refusalOf(apply(), 10_000))).toBe(true);
    expect(seqs()).toEqual([[1, 2]]);
  });

  it('that succeeds late is not given again: a slow repository gets ahead, in order', async () => {
    const { apply, seqs, refusalOf, script, first, repository, cursor } = await given();
    await refusalOf(apply(), 10_000);
    script.complete(first);
    const next = apply();
    await settle();
    await repository.held![0]!.apply();
    await settle();
    expect(seqs()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    await repository.held![1]!.apply();
    await next;
    expect(cursor()).toEqual(script.cursorAt(4));
    expect(repository.tasks.get(first)!.status).toBe('completed');
  });

  it('that fails late is given again', async () => {
    const { apply, seqs, refusalOf, repository } = await given();
    let fail = (): void => undefined;
    repository.executeBatch = () => new Promise((_, reject) => (fail = () => reject(new Error('late'))));
    await refusalOf(apply(), 10_000);
    repository.executeBatch = async (entries) => void repository.held!.push({ entries, apply: async () => undefined });
    const again = apply();
    await settle();
    fail();
    await again;
    expect(seqs()).toEqual([[1, 2]]);
  });

  it('is given again when it is taken for lost; what lands late changes nothing, and the cursor never goes back', async () => {
    const { apply, seqs, refusalOf, script, first, repository, clock, cursor } = await given();
    await refusalOf(apply(), 10_000);
    await refusalOf(apply(), 10_000);
    const again = apply();
    await clock.run(10_000);
    expect(seqs()).toEqual([
      [1, 2],
      [1, 2],
    ]);
    await repository.held![1]!.apply();
    await again;
    script.complete(first);
    const next = apply();
    await settle();
    await repository.held![2]!.apply();
    await next;
    await repository.held![0]!.apply(); // after all of it
    await settle();
    expect(cursor()).toEqual(script.cursorAt(4));
    expect(repository.tasks.get(first)!.status).toBe('completed');
    expect(repository.events.get(first)!.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  });
});
