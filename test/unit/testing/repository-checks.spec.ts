import { describe, expect, it } from '@jest/globals';
import type { EventLogEntry, ListOptions, StoredEvent, Task, TaskId, TaskRepository } from '../../../lib/index.js';
import { ListedTaskRepository } from '../../../lib/testing/rows/listed-task-repository.js';
import { describeRepository, repositoryChecks, RepositoryFault } from '../../../lib/testing/repository/index.js';

const sound = (): ListedTaskRepository => new ListedTaskRepository(Date.now);

describeRepository('The repository of the testing kit', { describe, it }, { create: sound, reopen: (repository) => repository });

/** A sound one, but for one member. */
function broken(change: (repository: ListedTaskRepository) => Partial<Record<keyof TaskRepository, unknown>>): () => TaskRepository {
  return () => {
    const repository = sound();
    const before = new Proxy(repository, {
      get: (target, member) => {
        const value: unknown = Reflect.get(target, member, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    return Object.assign(
      repository as TaskRepository,
      change(Object.assign(Object.create(null), bound(before)) as ListedTaskRepository),
    ) as TaskRepository;
  };
}
const bound = (repository: ListedTaskRepository): object => ({
  ...Object.fromEntries(
    ['executeBatch', 'findById', 'findByIdempotencyKey', 'findStaleTasks', 'getEvents', 'getEventsAfter', 'list', 'findEnded'].map(
      (member) => [member, Reflect.get(repository, member)],
    ),
  ),
  tasks: repository.tasks,
  events: repository.events,
  keys: repository.keys,
});
const isOpen = ({ status }: Task): boolean => status === 'created' || status === 'running';
const never = (): Promise<never> => new Promise(() => {});
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What is wrong with it, and a check that has to find it. */
const BROKEN: Readonly<Record<string, readonly [() => TaskRepository, RegExp]>> = {
  'adds events again when a batch comes again': [
    broken(({ executeBatch, events, tasks }) => ({
      async executeBatch(entries: readonly EventLogEntry[]) {
        for (const entry of entries) {
          const task = tasks.get(entry.taskId);
          if (task !== undefined && entry.taskSeq !== undefined && entry.taskSeq <= task.lastSeq) {
            const list = events.get(entry.taskId)!;
            list.push(list[entry.taskSeq - 1]!);
          } else await executeBatch([entry]);
        }
      },
    })),
    /^changes nothing when a batch comes again/,
  ],
  'counts how many entries came instead of which': [
    broken(({ executeBatch }) => {
      let given = 0;
      return {
        async executeBatch(entries: readonly EventLogEntry[]) {
          await executeBatch(entries.filter(({ seq }) => seq > given));
          given += entries.length;
        },
      };
    }),
    /^takes of a batch that overlaps/,
  ],
  'takes an entry over a hole': [
    broken(({ executeBatch }) => ({ executeBatch: (entries: readonly EventLogEntry[]) => executeBatch(entries).catch(() => undefined) })),
    /^rejects an entry that leaves one of its task out/,
  ],
  'fails on a control entry of a task that it does not have': [
    broken(({ executeBatch, tasks }) => ({
      async executeBatch(entries: readonly EventLogEntry[]) {
        for (const entry of entries) if (entry.type !== 'created' && !tasks.has(entry.taskId)) throw new Error('no such task');
        await executeBatch(entries);
      },
    })),
    /^ignores control entries of tasks that it does not have/,
  ],
  'lets any pruned entry delete': [
    broken(({ executeBatch, tasks }) => ({
      async executeBatch(entries: readonly EventLogEntry[]) {
        await executeBatch(entries);
        for (const { type, taskId } of entries) if (type === 'pruned') tasks.delete(taskId);
      },
    })),
    /^ignores control entries of an older run/,
  ],
  'keeps the events of a pruned task': [
    broken(({ executeBatch, events }) => ({
      async executeBatch(entries: readonly EventLogEntry[]) {
        const before = new Map(events);
        await executeBatch(entries);
        for (const { type, taskId } of entries) if (type === 'pruned' && before.has(taskId)) events.set(taskId, before.get(taskId)!);
      },
    })),
    /^deletes a pruned task with its events/,
  ],
  'forgets the key of a newer task with the older one': [
    broken(({ executeBatch, keys, tasks }) => ({
      async executeBatch(entries: readonly EventLogEntry[]) {
        const held = entries.filter(({ type }) => type === 'pruned').map(({ taskId }) => tasks.get(taskId));
        await executeBatch(entries);
        for (const task of held)
          if (task !== undefined) for (const key of keys.keys()) if (key.endsWith(task.idempotencyKey)) keys.delete(key);
      },
    })),
    /^finds the newer task by a key that an older one gave to it/,
  ],
  'looks keys up without their user': [
    broken(({ findByIdempotencyKey, tasks }) => ({
      findByIdempotencyKey: async (key: never) =>
        (await findByIdempotencyKey(key)) === null
          ? null
          : ([...tasks.values()].find(({ idempotencyKey }) => (key as string).endsWith(idempotencyKey)) ?? null),
    })),
    /^finds a task by its scoped key/,
  ],
  'takes keys for the same that differ in case': [
    broken(({ tasks, keys }) => ({
      findByIdempotencyKey: async (key: string) => {
        const found = [...keys].find(([each]) => each.toLowerCase() === key.toLowerCase());
        return found === undefined ? null : (tasks.get(found[1]) ?? null);
      },
    })),
    /^finds a task by its scoped key/,
  ],
  'answers undefined for a task that it does not have': [
    broken(({ tasks }) => ({ findById: async (taskId: TaskId) => tasks.get(taskId) })),
    /^answers null for a task or key/,
  ],
  'gives running tasks alone': [
    broken(({ findStaleTasks }) => ({
      findStaleTasks: async (ms: number) => (await findStaleTasks(ms)).filter(({ status }) => status === 'running'),
    })),
    /^gives by findStaleTasks\(0\) every unfinished task/,
  ],
  'leaves delayed tasks out': [
    broken(({ findStaleTasks }) => ({
      findStaleTasks: async (ms: number) => (await findStaleTasks(ms)).filter(({ runAt }) => runAt.getTime() <= Date.now()),
    })),
    /^gives by findStaleTasks\(0\) every unfinished task/,
  ],
  'compares times for findStaleTasks(0)': [
    broken(({ tasks }) => ({
      findStaleTasks: async (ms: number) =>
        [...tasks.values()].filter((task) => isOpen(task) && (task.lastHeartbeatAt ?? task.createdAt).getTime() <= Date.now() - ms),
    })),
    /^gives a task that is younger than now/,
  ],
  'gives all unfinished tasks, whatever the threshold': [
    broken(({ findStaleTasks }) => ({ findStaleTasks: () => findStaleTasks(0) })),
    /^gives by findStaleTasks of a threshold/,
  ],
  'orders events as text': [
    broken(({ getEvents }) => ({
      getEvents: async (taskId: TaskId) => (await getEvents(taskId)).sort((a, b) => (String(a.seq) < String(b.seq) ? -1 : 1)),
    })),
    /^gives all of a long history, in order/,
  ],
  'cuts a history off': [
    broken(({ getEvents }) => ({ getEvents: async (taskId: TaskId) => (await getEvents(taskId)).slice(0, 1_000) })),
    /^gives all of a long history, in order/,
  ],
  'reads the page after a sequence from that sequence on': [
    broken(({ getEventsAfter }) => ({
      getEventsAfter: (taskId: TaskId, after: number, limit: number) => getEventsAfter(taskId, after - 1, limit),
    })),
    /^gives all of a long history, in order/,
  ],
  'keeps times as text': [
    broken(({ findById }) => ({ findById: async (taskId: TaskId) => JSON.parse(JSON.stringify(await findById(taskId))) as unknown })),
    /^keeps every life of a task/,
  ],
  'drops NUL from text': [
    broken(({ findById }) => ({
      findById: async (taskId: TaskId) => changedJson(await findById(taskId), (text) => text.replaceAll('\\u0000', '')),
    })),
    /^keeps inputs, payloads and results as they are: text/,
  ],
  'makes whole what was half a surrogate pair': [
    broken(({ findById }) => ({
      findById: async (taskId: TaskId) => changedJson(await findById(taskId), (text) => text.replace(/\\ud[89a-f]../gi, '\\ufffd')),
    })),
    /^keeps inputs, payloads and results as they are: half/,
  ],
  'copies objects by assignment': [
    broken(({ getEvents }) => ({
      getEvents: async (taskId: TaskId) => (await getEvents(taskId)).map((event) => ({ ...event, payload: assigned(event.payload) })),
    })),
    /^keeps inputs, payloads and results as they are: names of prototypes/,
  ],
  'refuses member names with dots': [
    broken(({ executeBatch }) => ({
      executeBatch: async (entries: readonly EventLogEntry[]) => {
        if (JSON.stringify(entries).includes('"a.b":')) throw new Error('key a.b must not contain .');
        await executeBatch(entries);
      },
    })),
    /^keeps inputs, payloads and results as they are: names with dots/,
  ],
  'refuses what is larger than 64 KiB': [
    broken(({ executeBatch }) => ({
      executeBatch: async (entries: readonly EventLogEntry[]) => {
        for (const { data } of entries) if (JSON.stringify(data).length > 65_536) throw new Error('too long');
        await executeBatch(entries);
      },
    })),
    /^keeps inputs, payloads and results of a megabyte/,
  ],
  'takes ten entries of a batch': [
    broken(({ executeBatch }) => ({ executeBatch: (entries: readonly EventLogEntry[]) => executeBatch(entries.slice(0, 10)) })),
    /^takes a thousand tasks in one batch/,
  ],
  'reads before it waits, and writes after, so that two flushers write twice': [
    broken(({ executeBatch, tasks, events }) => ({
      async executeBatch(entries: readonly EventLogEntry[]) {
        const known = new Map([...tasks].map(([id, { lastSeq }]) => [id, lastSeq]));
        await pause(1);
        for (const entry of entries) {
          const isNew = entry.taskSeq !== undefined && entry.taskSeq > (known.get(entry.taskId) ?? 0);
          const task = tasks.get(entry.taskId);
          if (isNew && task !== undefined && entry.taskSeq! <= task.lastSeq)
            events.get(entry.taskId)?.push({ ...events.get(entry.taskId)!.at(-1)! });
          else await executeBatch([entry]);
        }
      },
    })),
    /^keeps each event once when two flushers/,
  ],
  'writes a late batch over a newer one': [
    broken(({ executeBatch, tasks }) => ({
      async executeBatch(entries: readonly EventLogEntry[]) {
        if (entries.length < 15) {
          const before = new Map(tasks);
          await pause(5);
          for (const [id, task] of before) tasks.set(id, task);
        }
        await executeBatch(entries);
      },
    })),
    /^is not taken back by a batch that lands late/,
  ],
  'hands out its own lists': [
    broken(({ events }) => ({ getEvents: async (taskId: TaskId): Promise<StoredEvent[]> => events.get(taskId) ?? [] })),
    /^gives what is its caller/,
  ],
  'sorts entries in place': [
    broken(({ executeBatch }) => ({
      executeBatch: async (entries: EventLogEntry[]) => {
        await executeBatch([...entries]);
        entries.reverse();
      },
    })),
    /^leaves entries as they are/,
  ],
  'keeps in memory what it said was durable': [() => sound(), /^has in the next process/],
  'is unwell': [broken(() => ({ healthCheck: async () => false })), /^is initialised, closed and healthy/],
  'lists the tasks of nobody for every owner': [
    broken(({ list }) => ({
      list: (options: ListOptions) =>
        options.userId === null ? list(Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'userId'))) : list(options),
    })),
    /^lists by owner/,
  ],
  'pages by a count': [
    broken(({ list }) => ({
      async list(options: ListOptions) {
        const { items } = await list({ ...options, cursor: undefined, limit: 10_000 });
        const from = Number(options.cursor ?? 0);
        const to = from + (options.limit ?? 50);
        return { items: items.slice(from, to), nextCursor: to < items.length ? String(to) : null };
      },
    })),
    /^lists no more than a page, and each task once while others are created/,
  ],
  'always has a next page': [
    broken(({ list }) => ({
      list: async (options: ListOptions) => ({ ...(await list(options)), nextCursor: options.cursor ?? '{"at":0,"id":""}' }),
    })),
    /^lists by owner/,
  ],
  'offers the newest of what ended': [
    broken(({ findEnded }) => ({
      findEnded: async (before: Date, limit: number) => (await findEnded(before, 10_000)).reverse().slice(0, limit),
    })),
    /^offers what ended before a time/,
  ],
  'has only the first page of unfinished tasks': [
    broken(({ findStaleTasks }) => ({
      findActive: async (_cursor: unknown, limit: number) => ({ items: (await findStaleTasks(0)).slice(0, limit), nextCursor: null }),
    })),
    /^pages through all unfinished tasks/,
  ],
  'hangs in a look-up': [broken(() => ({ findById: never })), /findById\(\) did not answer within 200 ms/],
  'hangs in a batch': [broken(() => ({ executeBatch: never })), /executeBatch\(\) did not answer within 200 ms/],
  'is slower than whoever asks waits': [
    broken(({ findByIdempotencyKey }) => ({ findByIdempotencyKey: (key: never) => pause(400).then(() => findByIdempotencyKey(key)) })),
    /findByIdempotencyKey\(\) did not answer within 200 ms/,
  ],
  'throws instead of rejecting': [
    broken(() => ({
      getEvents: () => {
        throw new Error('not connected');
      },
    })),
    /getEvents\(\) threw at once.*not connected/,
  ],
  'answers without a promise': [broken(() => ({ healthCheck: () => true })), /healthCheck\(\) gave boolean, where a promise is expected/],
  'answers with no array': [broken(() => ({ findStaleTasks: async () => null })), /findStaleTasks\(\) answered with null/],
  'lacks a member': [broken(() => ({ healthCheck: undefined })), /The repository lacks healthCheck/],
};

function changedJson(task: Task | null, change: (text: string) => string): Task | null {
  return task === null ? null : { ...task, input: JSON.parse(change(JSON.stringify(task.input ?? null))) as unknown };
}
/** As a merge of options would do it: the prototype changes, and the member is gone. */
function assigned(value: unknown): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.assign({}, value) : value;
}

describe('repositoryChecks', () => {
  it.each(Object.entries(BROKEN))('find a repository that %s', async (_what, [create, pattern]) => {
    const reopen = pattern.source.includes('next process') ? sound : undefined;
    const found: string[] = [];
    for (const check of repositoryChecks({ create, callTimeoutMs: 200, ...(reopen === undefined ? {} : { reopen }) })) {
      const error: unknown = await check.run().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error !== undefined) found.push(check.name, error instanceof RepositoryFault ? error.message : '');
      if (found.some((text) => pattern.test(text))) return;
    }
    expect(found).toContainEqual(expect.stringMatching(pattern));
  });

  it('name each promise once, and dispose of every repository that they asked for', async () => {
    const names = repositoryChecks({ create: sound }).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const [made, disposed] = [new Set<TaskRepository>(), new Set<TaskRepository>()];
    const create = (): TaskRepository => {
      const repository = broken(() => ({ getEvents: never }))();
      made.add(repository);
      return repository;
    };
    const dispose = (repository: TaskRepository): void => void disposed.add(repository);
    for (const check of repositoryChecks({ create, dispose, callTimeoutMs: 1 }).slice(0, 3)) await check.run().catch(() => undefined);
    expect([made.size, disposed]).toEqual([3, made]);
  });

  it('ask nothing of members that a repository need not have', async () => {
    const create = broken(() => ({ list: undefined, findEnded: undefined, getEventsAfter: undefined }));
    for (const check of repositoryChecks({ create })) await check.run();
  });
});
