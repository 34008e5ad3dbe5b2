import type { EventLogEntry } from '../../../contracts/task-repository.interface.js';
import { type Bench, holds, same, shown } from '../bench.js';
import type { Check } from './check.interface.js';

/** A task of every kind of end, and one of each that has none. */
function everyLife({ log }: Bench): string[] {
  const done = log.create({ userId: 'alice', key: 'k', tags: ['a', 'b'] });
  log.retry(done);
  log.start(done);
  log.add(done, 'heartbeat');
  log.progress(done, { percent: 50 });
  log.add(done, 'custom', { eventName: 'named', payload: [1] });
  log.add(done, 'complete', { result: { sent: true } });
  const failed = log.create();
  log.fail(failed);
  const cancelled = log.create();
  log.start(cancelled);
  log.add(cancelled, 'cancel', { reason: 'no need' });
  log.add(cancelled, 'cancelled', { reason: 'no need' });
  const again = log.create();
  log.fail(again);
  log.add(again, 'retry', { reason: 'manual' });
  const crashed = log.create();
  log.start(crashed);
  log.add(crashed, 'recovered', { recoveries: 1, reason: 'crash' });
  const running = log.create();
  log.start(running);
  return [done, failed, cancelled, again, crashed, running, log.create()];
}

const eventsPerTask = async ({ repository, log }: Bench): Promise<number[]> =>
  Promise.all([...new Set(log.entries.map(({ taskId }) => taskId))].map(async (id) => (await repository.getEvents(id)).length));

/** In groups of that many entries. */
async function give(repository: Bench['repository'], entries: readonly EventLogEntry[], size: number): Promise<void> {
  for (let at = 0; at < entries.length; at += size) await repository.executeBatch(entries.slice(at, at + size));
}

export const BATCH_CHECKS: readonly Check[] = [
  {
    name: 'keeps every life of a task as the fold of its entries, in one batch',
    async run(bench) {
      everyLife(bench);
      await bench.flush();
      await bench.verify();
    },
  },
  {
    name: 'keeps the same however the log is cut into batches',
    async run(bench) {
      everyLife(bench);
      await give(bench.repository, bench.log.entries, 1);
      await bench.expectAll();
      await bench.verify();
    },
  },
  {
    name: 'changes nothing when a batch comes again',
    async run(bench) {
      everyLife(bench);
      await bench.flush();
      const before = await eventsPerTask(bench);
      await bench.repository.executeBatch(bench.log.entries);
      same('events after the batch came again', await eventsPerTask(bench), before);
      await bench.verify();
    },
  },
  {
    name: 'changes nothing when older batches come again behind newer ones',
    async run(bench) {
      everyLife(bench);
      await give(bench.repository, bench.log.entries, 5);
      await bench.expectAll();
      await give(bench.repository, bench.log.entries.slice(0, -4), 3);
      await bench.verify();
    },
  },
  {
    name: 'takes of a batch that overlaps the one before only what is new',
    async run(bench) {
      everyLife(bench);
      const { entries } = bench.log;
      for (let at = 0; at < entries.length; at += 4) await bench.repository.executeBatch(entries.slice(Math.max(0, at - 6), at + 4));
      await bench.expectAll();
      await bench.verify();
    },
  },
  {
    name: 'rejects an entry that leaves one of its task out',
    async run(bench) {
      const id = bench.log.create();
      await bench.flush();
      bench.log.start(id);
      bench.log.progress(id, 1);
      await bench.refuses(bench.log.entries.slice(2), 'an entry whose taskSeq is the stored lastSeq + 2');
      await bench.flush();
      await bench.verify();
    },
  },
  {
    name: 'is as before, or further, after a batch that it rejected, and takes all of it the next time',
    async run(bench) {
      const [first, second] = [bench.log.create(), bench.log.create()];
      await bench.flush();
      bench.log.start(first);
      bench.log.start(second);
      bench.log.progress(second, 1);
      const [start, , jump] = bench.log.entries.slice(2) as [EventLogEntry, EventLogEntry, EventLogEntry];
      await bench.refuses([start, jump], 'a batch with a hole in it');
      await bench.flush();
      await bench.verify();
    },
  },
  {
    name: 'resolves for an empty batch',
    async run(bench) {
      await bench.repository.executeBatch([]);
    },
  },
  {
    name: 'takes a thousand tasks in one batch',
    async run(bench) {
      const created = Array.from({ length: 1_000 }, (_, at) => bench.log.create({ input: { at } }));
      await bench.flush();
      for (const at of [0, 499, 999]) await bench.verifyTask(created[at]!);
      same('findStaleTasks(0)', (await bench.repository.findStaleTasks(0)).length, 1_000);
    },
  },
  {
    name: 'keeps each event once when two flushers give the same batch at the same time',
    async run(bench) {
      everyLife(bench);
      const { entries } = bench.log;
      // One may be rejected for the other's sake, and is given again then.
      await Promise.allSettled([bench.repository.executeBatch(entries), bench.repository.executeBatch(entries)]);
      await bench.repository.executeBatch(entries);
      await bench.expectAll();
      await bench.verify();
    },
  },
  {
    name: 'is not taken back by a batch that lands late, beside a newer one',
    async run(bench) {
      const id = bench.log.create();
      bench.log.start(id);
      await bench.flush();
      for (let at = 0; at < 20; at++) bench.log.progress(id, at);
      bench.log.add(id, 'complete', { result: 'done' });
      const { entries } = bench.log;
      const late = bench.repository.executeBatch(entries.slice(0, 12));
      await Promise.allSettled([late, bench.repository.executeBatch(entries)]);
      await bench.repository.executeBatch(entries);
      await bench.expectAll();
      await bench.verify();
    },
  },
  {
    name: 'ignores control entries of tasks that it does not have',
    async run(bench) {
      const id = bench.log.create();
      for (const type of ['heartbeat', 'cancel', 'dlq-removed', 'pruned'] as const)
        await bench.repository.executeBatch([bench.log.add(id, type)]);
      same('findById', await bench.repository.findById(bench.log.entries[0]!.taskId), null);
      same('findStaleTasks(0)', await bench.repository.findStaleTasks(0), []);
    },
  },
  {
    name: 'ignores control entries of an older run',
    async run(bench) {
      const id = bench.log.create();
      bench.log.retry(id);
      bench.log.start(id);
      for (const type of ['heartbeat', 'cancel', 'pruned'] as const) {
        await bench.flush();
        bench.log.add(id, type, {}, { fence: 1 });
      }
      await bench.flush();
      await bench.verify();
      holds(
        'The task was deleted by a `pruned` of an older run.',
        (await bench.repository.findById(bench.log.entries[0]!.taskId)) !== null,
      );
    },
  },
  {
    name: 'deletes a pruned task with its events and its key, also when its entries come again',
    async run(bench) {
      const kept = bench.log.create({ key: 'kept', userId: 'alice' });
      const gone = bench.log.create({ key: 'gone', userId: 'alice' });
      bench.log.complete(gone);
      await bench.flush();
      const lived = bench.log.entries.length;
      bench.log.add(gone, 'pruned');
      await bench.flush();
      await bench.verify();
      // As after a crash: `pruned` never shares a batch with another entry of its task.
      await bench.repository.executeBatch(bench.log.entries.slice(0, lived));
      await bench.repository.executeBatch(bench.log.entries.slice(lived));
      same('findById of the pruned task', await bench.repository.findById(bench.log.identityOf(gone).taskId), null);
      same('its events', await bench.repository.getEvents(bench.log.identityOf(gone).taskId), []);
      await bench.verify();
      await bench.verifyTask(kept);
    },
  },
  {
    name: 'leaves entries as they are, since they are shared',
    async run(bench) {
      everyLife(bench);
      const given = [...bench.log.entries];
      const before = JSON.stringify(given);
      await bench.repository.executeBatch(given);
      same('the entries after executeBatch', JSON.stringify(given), before);
    },
  },
  {
    name: 'has in the next process what executeBatch resolved for',
    async run(bench) {
      everyLife(bench);
      await bench.flush();
      if (bench.reopened === undefined) return;
      const next = await bench.reopened();
      await bench.verify(next);
      const open = (await next.findStaleTasks(0)).map(shown);
      same('findStaleTasks(0) of the next process', open.length, (await bench.oracle.findStaleTasks(0)).length);
    },
  },
  {
    name: 'is initialised, closed and healthy, twice as well as once',
    async run(bench) {
      await bench.repository.initialize();
      bench.log.create();
      await bench.flush();
      await bench.repository.initialize();
      same('healthCheck', await bench.repository.healthCheck(), true);
      await bench.verify();
      await bench.repository.close();
    },
  },
];
