import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { ClusterDatabase } from '../../../lib/engines/cluster/storage/cluster-database.js';
import { insertWithHost } from '../../../lib/engines/cluster/storage/host-transaction.js';
import { claimCall, ClusterHouse, hasPostgres, newTask, submitCall, whereSkipped } from '../../support/database/cluster-house.js';
import { unfolded, violations } from '../../support/oracle/cluster-invariants.js';

(hasPostgres ? describe : describe.skip)(`A submit inside the host's transaction${whereSkipped}`, () => {
  let house: ClusterHouse;
  let node: ClusterDatabase;
  let host: DataSource;
  beforeAll(async () => {
    house = await ClusterHouse.open();
    node = await house.node();
    host = await new DataSource({ ...(house.options as object), type: 'postgres' } as DataSourceOptions).initialize();
    await host.query('CREATE TABLE orders (id int)');
  });
  afterEach(async () => {
    expect([...(await violations(house.sql)), ...(await unfolded(house.sql, house.reads))]).toEqual([]);
  });
  afterAll(async () => {
    await host.destroy();
    await house.close();
  });

  it('runs when that commits, and is seen by nobody before', async () => {
    const task = newTask({ userId: 'u' });
    await host.transaction(async (manager) => {
      await manager.query('INSERT INTO orders VALUES (1)');
      expect(await insertWithHost(manager, house.names, 'node-a', task)).toMatchObject({ kind: 'created', keyBase: 0 });
      expect(await house.state(task.id)).toBeNull();
      expect((await node.claim(claimCall())).runs).toEqual([]);
    });
    expect((await node.claim(claimCall())).runs.map((run) => run.task.id)).toEqual([task.id]);
  });

  it('never was when that is rolled back', async () => {
    const task = newTask({ key: 'k' });
    const rolledBack = host.transaction(async (manager) => {
      await insertWithHost(manager, house.names, 'node-a', task);
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await house.state(task.id)).toBeNull();
    expect((await node.submit(submitCall([newTask({ key: 'k' })]))).outcomes).toMatchObject([{ kind: 'created' }]);
  });

  it('of a key that a task has is answered with that task', async () => {
    const first = newTask({ key: 'mine' });
    await node.submit(submitCall([first]));
    const outcome = await host.transaction((manager) => insertWithHost(manager, house.names, 'node-a', newTask({ key: 'mine' })));
    expect(outcome).toEqual({ kind: 'existing', id: first.id });
  });
});
