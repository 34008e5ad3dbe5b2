import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/clock/patience.js';
import { clusterOf, hasPostgres } from '../../support/cluster/cluster-of.js';

const describeWithPostgres = hasPostgres ? describe : describe.skip;

describeWithPostgres('Two nodes of a cluster', () => {
  const cluster = clusterOf();

  it('share one queue: what is submitted on one runs on the other, and its events are told where it was submitted', async () => {
    const a = await cluster.node({});
    const b = await cluster.node({ mail: async ({ progress }) => (await progress('half'), 'sent') });
    a.define('mail', async () => 'never called here');
    await a.engine.work.close();
    const task = await a.submit('mail', { to: 'x' });
    const seen = await a.follow(task.id);
    await eventually(
      () => a.engine.queries.load(task.id),
      (state) => state?.status === 'completed',
    );
    await eventually(
      () => seen.entries.map(({ type }) => type),
      (types) => types.includes('complete'),
    );
    expect(b.began).toHaveLength(1);
    expect(a.began).toHaveLength(0);
    expect(await b.events(task.id)).toEqual(['created', 'start', 'progress', 'complete']);
    const state = await a.engine.queries.find(task.id);
    expect(state).toMatchObject({ status: 'completed', fence: 1, lastSeq: 4, result: '"sent"', progress: '"half"', input: '{"to":"x"}' });
  });

  it('run a task once that is submitted with one key on both', async () => {
    const a = await cluster.node({ once: async () => 1 });
    const b = await cluster.node({ once: async () => 1 });
    const tasks = await Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? a : b).submit('once', 7, { key: 'one' })));
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(1);
    await eventually(
      () => a.engine.queries.load(tasks[0]!.id),
      (state) => state?.status === 'completed',
    );
    expect(a.began.length + b.began.length).toBe(1);
    await expect(a.submit('once', 8, { key: 'one' })).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
  });

  it.each(['the node that runs it', 'the other node'])('end a running task that is cancelled from %s', async (from) => {
    const a = await cluster.node({});
    const b = await cluster.node({
      slow: ({ ended }) => new Promise((resolve) => ended.addEventListener('abort', () => resolve('stopped'))),
    });
    a.define('slow', async () => 0);
    await a.engine.work.close();
    const task = await a.submit('slow', 1);
    await eventually(
      () => b.began.length,
      (count) => count === 1,
    );
    expect(await (from === 'the other node' ? a : b).cancel(task.id)).toBe('applied');
    await eventually(
      () => a.engine.queries.load(task.id),
      (state) => state?.status === 'cancelled',
    );
    expect(await a.events(task.id)).toEqual(['created', 'start', 'cancelled']);
  });

  it('take up the tasks of a node that died, which go on under a new fence', async () => {
    const a = await cluster.node({ job: ({ ended }) => new Promise((resolve) => ended.addEventListener('abort', resolve)) });
    const task = await a.submit('job', 1);
    await eventually(
      () => a.began.length,
      (count) => count === 1,
    );
    const b = await cluster.node({ job: async ({ work }) => work.task.resume });
    await a.crash();
    const state = await eventually(
      () => b.engine.queries.find(task.id),
      (found) => found?.status === 'completed',
    );
    expect(state).toMatchObject({ result: '"stale"', fence: 2, recoveries: 1 });
    expect(await b.events(task.id)).toEqual(['created', 'start', 'recovered', 'start', 'complete']);
  });
});
