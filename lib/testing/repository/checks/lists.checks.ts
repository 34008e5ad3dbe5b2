import type { ListOptions } from '../../../contracts/task-system.interface.js';
import type { Task } from '../../../contracts/task.interface.js';
import { type Bench, holds, ids, same } from '../bench.js';
import { RepositoryFault } from '../subject.js';
import type { Check } from './check.interface.js';

const MAX_PAGES = 1_000;

/** Every page, one after the other. */
async function pages(
  read: (cursor: string | undefined) => Promise<{ items: readonly Task[]; nextCursor: string | null }>,
): Promise<Task[]> {
  const found: Task[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const { items, nextCursor } = await read(cursor);
    found.push(...items);
    if (nextCursor === null || nextCursor === undefined) return found;
    cursor = nextCursor;
  }
  throw new RepositoryFault(`There is still a next page after ${MAX_PAGES} of them.`);
}

function population({ log }: Bench): void {
  for (let at = 0; at < 24; at++) {
    const id = log.create({
      name: at % 2 === 0 ? 'send-email' : 'import',
      userId: at % 3 === 0 ? null : at % 3 === 1 ? 'alice' : 'bob',
      tags: at % 4 === 0 ? ['a', 'b'] : at % 4 === 1 ? ['b'] : [],
    });
    if (at % 5 === 1) log.complete(id);
    if (at % 5 === 2) log.fail(id);
    if (at % 5 === 3) log.start(id);
    if (at % 10 === 7) log.add(id, 'dlq-removed');
  }
}

const FILTERS: readonly (ListOptions & { userId?: unknown })[] = [
  {},
  { status: 'completed' },
  { status: 'created' },
  { name: 'import' as Task['name'] as never },
  { tag: 'a' },
  { tag: 'b' },
  { userId: 'alice' as never },
  { userId: null },
  { userId: 'alice' as never, status: 'failed' },
  { deadLettered: true },
  { deadLettered: true, userId: 'bob' as never },
  { name: 'none' as never },
];

/** Of members that a repository need not have: where it has none of them, there is nothing to check. */
export const LIST_CHECKS: readonly Check[] = [
  {
    name: 'lists by owner, status, name, tag and dead letters, newest first, on pages of any size',
    async run(bench) {
      const list = bench.repository.list?.bind(bench.repository);
      if (list === undefined) return;
      population(bench);
      await bench.flush();
      for (const filter of FILTERS) {
        const expected = ids((await bench.oracle.list({ ...filter, limit: 1_000 })).items);
        for (const limit of [1, 7, 200]) {
          const found = await pages((cursor) => list({ ...filter, limit, cursor }));
          same(`list(${JSON.stringify({ ...filter, limit })})`, ids(found), expected);
        }
      }
    },
  },
  {
    name: 'lists no more than a page, and each task once while others are created',
    async run(bench) {
      const list = bench.repository.list?.bind(bench.repository);
      if (list === undefined) return;
      population(bench);
      await bench.flush();
      const expected = ids((await bench.oracle.list({ limit: 1_000 })).items);
      const found = await pages(async (cursor) => {
        const page = await list({ limit: 5, cursor });
        holds(`list({ limit: 5 }) gave ${page.items.length} tasks.`, page.items.length <= 5);
        bench.log.create();
        await bench.flush();
        return page;
      });
      same('all pages', ids(found), expected);
    },
  },
  {
    name: 'offers what ended before a time, oldest first, and no more than asked for',
    async run(bench) {
      const findEnded = bench.repository.findEnded?.bind(bench.repository);
      if (findEnded === undefined) return;
      population(bench);
      await bench.flush();
      const ended = await bench.oracle.findEnded(new Date('9999-01-01'), 1_000);
      const middle = ended[Math.floor(ended.length / 2)]!.completedAt!;
      for (const [before, limit] of [
        [new Date('9999-01-01'), 1_000],
        [new Date('9999-01-01'), 3],
        [middle, 1_000],
        [new Date(0), 10],
      ] as const)
        same(
          `findEnded(${before.toISOString()}, ${limit})`,
          ids(await findEnded(before, limit)),
          ids(await bench.oracle.findEnded(before, limit)),
        );
    },
  },
  {
    name: 'pages through all unfinished tasks, each once',
    async run(bench) {
      const findActive = bench.repository.findActive?.bind(bench.repository);
      if (findActive === undefined) return;
      population(bench);
      await bench.flush();
      const expected = ids(await bench.oracle.findStaleTasks(0)).sort();
      for (const limit of [1, 7, 200])
        same(`findActive(…, ${limit})`, ids(await pages((cursor) => findActive(cursor ?? null, limit))).sort(), expected);
    },
  },
];
