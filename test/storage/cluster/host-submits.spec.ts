import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { eventually } from '../../support/clock/patience.js';
import { clusterOf, hasPostgres } from '../../support/cluster/cluster-of.js';

const describeWithPostgres = hasPostgres ? describe : describe.skip;

describeWithPostgres('A task that is submitted with a transaction of the host', () => {
  const cluster = clusterOf();
  let host: DataSource;
  beforeAll(async () => {
    host = await new DataSource(cluster.database.options as unknown as DataSourceOptions).initialize();
  });
  afterAll(() => host.destroy());

  it('runs once the host has committed, and never was where it rolled back', async () => {
    const node = await cluster.node({ t: async () => 'done' });
    const ids: string[] = [];
    await host.transaction(async (manager) => {
      const task = await node.submit('t', 1, { manager, key: 'in' });
      ids.push(task.id);
      expect(await node.engine.queries.find(task.id)).toBeNull();
    });
    const state = await eventually(
      () => node.engine.queries.find(ids[0] as never),
      (found) => found?.completedAt != null,
    );
    expect(state).toMatchObject({ status: 'completed', result: '"done"', key: 'in' });
    await host
      .transaction(async (manager) => {
        ids.push((await node.submit('t', 2, { manager, key: 'out' })).id);
        throw new Error('rolled back');
      })
      .catch(() => undefined);
    expect(await node.engine.queries.find(ids[1] as never)).toBeNull();
    expect(node.began).toHaveLength(1);
  });

  it('is a hit of the task that has its key, and takes the key of one that ended where that is asked for', async () => {
    const node = await cluster.node({ h: async () => 0 });
    const first = await node.submit('h', 1, { key: 'k' });
    await eventually(
      () => node.engine.queries.find(first.id),
      (found) => found?.completedAt != null,
    );
    const [hit, next] = await host.transaction(async (manager) => [
      await node.submit('h', 1, { manager, key: 'k' }),
      await node.submit('h', 2, { manager, key: 'k', keyReuse: 'ended' }),
    ]);
    expect(hit!.id).toBe(first.id);
    expect(await node.engine.queries.find(first.id)).toMatchObject({ supersededBy: next!.id });
  });

  it('holds up no submit of others while the host takes its time', async () => {
    const node = await cluster.node({ o: async () => 0 });
    await host.transaction(async (manager) => {
      await node.submit('o', 1, { manager, userId: 'u' });
      const other = await node.submit('o', 2, { userId: 'u' });
      await eventually(
        () => node.engine.queries.find(other.id),
        (found) => found?.completedAt != null,
      );
    });
  });

  it('needs a manager that is in a transaction', async () => {
    const node = await cluster.node({ n: async () => 0 });
    await expect(node.submit('n', 1, { manager: host.manager })).rejects.toMatchObject({ field: 'manager' });
    await expect(node.submit('n', 1, { manager: {} })).rejects.toMatchObject({ field: 'manager' });
  });
});
