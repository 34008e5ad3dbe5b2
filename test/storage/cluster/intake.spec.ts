import { describe, expect, it } from '@jest/globals';
import type { EngineNode, TestHandler } from '../../support/cluster/engine-node.js';
import { eventually } from '../../support/clock/patience.js';
import { clusterOf, hasPostgres } from '../../support/cluster/cluster-of.js';

const describeWithPostgres = hasPostgres ? describe : describe.skip;
const untilAborted: TestHandler = ({ ended }) => new Promise((resolve) => ended.addEventListener('abort', resolve));
const ended = (node: EngineNode, id: Parameters<EngineNode['events']>[0]) =>
  eventually(
    () => node.engine.queries.find(id),
    (state) => state?.completedAt != null,
  );

describeWithPostgres('Submits to a cluster', () => {
  const cluster = clusterOf();

  it('are admitted by windows that all nodes share, and say exactly how long to wait', async () => {
    const options = { guard: { backpressure: { maxTasksPerUserWindow: 3, windowSizeMs: 3_600_000 } } };
    const a = await cluster.node({ w: async () => 0 }, options);
    const b = await cluster.node({ w: async () => 0 }, options);
    for (const node of [a, b, a]) await node.submit('w', 1, { userId: 'u1' });
    const refused = b.submit('w', 1, { userId: 'u1' });
    await expect(refused).rejects.toMatchObject({ limit: 'user' });
    const { retryAfterMs } = (await refused.catch((error: unknown) => error)) as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(3_500_000);
    await expect(a.submit('w', 1, { userId: 'u2' })).resolves.toMatchObject({ status: 'created' });
  });

  it('of many come in all or none, and items of one key are hits of each other', async () => {
    const options = { guard: { backpressure: { maxTasksPerUserWindow: 3, windowSizeMs: 3_600_000 } } };
    const a = await cluster.node({ m: async () => 0 }, options);
    await expect(a.submitMany('m', [1, 2, 3, 4], { userId: 'many' })).rejects.toMatchObject({ limit: 'user' });
    const tasks = await a.submitMany('m', [1, 2, 3], { userId: 'many' });
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(3);
    const same = await a.submitMany('m', [9, 9], { key: 'same' });
    expect(same[0]!.id).toBe(same[1]!.id);
    expect((await a.submitMany('m', [9], { key: 'same' }))[0]!.id).toBe(same[0]!.id);
    await expect(a.submitMany('m', [10], { key: 'same' })).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
  });

  it('may use the key of an ended task again, whose successor numbers on', async () => {
    const a = await cluster.node({ k: async () => 0 });
    const first = await a.submit('k', 1, { key: 'again' });
    const before = await ended(a, first.id);
    const second = await a.submit('k', 2, { key: 'again', keyReuse: 'ended' });
    expect(second.id).not.toBe(first.id);
    expect(await a.engine.queries.find(first.id)).toMatchObject({ supersededBy: second.id });
    const after = await ended(a, second.id);
    expect(after!.keyBase).toBe(before!.lastSeq + 1);
  });

  it('that wait for a slot create nothing until one is free over all nodes', async () => {
    const options = { guard: { slots: { maxExecutionGlobal: 1, slotTimeoutMs: 700 } } };
    const a = await cluster.node({ s: untilAborted }, options);
    const b = await cluster.node({ s: untilAborted }, options);
    const first = await a.submit('s', 1, { waitForSlot: true });
    expect(await a.events(first.id)).toEqual(['created', 'start']);
    await expect(b.submit('s', 2, { waitForSlot: true })).rejects.toMatchObject({ code: 'SLOT_TIMEOUT' });
    const waiting = b.submit('s', 3, { waitForSlot: true });
    await a.cancel(first.id);
    const third = await waiting;
    await eventually(
      () => b.began.length,
      (count) => count === 1,
    );
    await b.cancel(third.id);
    await ended(b, third.id);
  });

  it('with a delay start when it is over, on whichever node, and not before', async () => {
    const a = await cluster.node({ d: async () => 0 });
    const task = await a.submit('d', 1, { delayMs: 600 });
    const state = await ended(a, task.id);
    expect(state!.startedAt! - state!.createdAt).toBeGreaterThanOrEqual(600);
    expect(state!.startedAt! - state!.createdAt).toBeLessThan(5_000);
  });

  it('that expire before they start end as failed', async () => {
    const a = await cluster.node({}, { executor: { enabled: false } });
    a.define('x', async () => 0);
    await a.engine.work.close();
    const task = await a.submit('x', 1, { expiresAt: Date.now() + 300 });
    const state = await ended(a, task.id);
    expect(state).toMatchObject({ status: 'failed', fence: 0, error: { code: 'TASK_EXPIRED' } });
  });
});

describeWithPostgres('Runs of a cluster', () => {
  const cluster = clusterOf();

  it('are limited over all nodes: in all, by user, by handler', async () => {
    let running = 0;
    let most = 0;
    const perUser = new Map<string, number>();
    let mostOfUser = 0;
    const handler: TestHandler = async ({ work }) => {
      const { userId } = work.task;
      running++;
      most = Math.max(most, running);
      perUser.set(userId!, (perUser.get(userId!) ?? 0) + 1);
      mostOfUser = Math.max(mostOfUser, perUser.get(userId!)!);
      await new Promise((resolve) => setTimeout(resolve, 20));
      perUser.set(userId!, perUser.get(userId!)! - 1);
      running--;
    };
    const options = { guard: { slots: { maxExecutionGlobal: 6, maxExecutionPerUser: 2 } } };
    const nodes = [await cluster.node({ l: handler }, options), await cluster.node({ l: handler }, options)];
    const tasks = await Promise.all(Array.from({ length: 60 }, (_, at) => nodes[at % 2]!.submit('l', at, { userId: `user${at % 5}` })));
    for (const { id } of tasks) await ended(nodes[0]!, id);
    expect(most).toBeLessThanOrEqual(6);
    expect(most).toBeGreaterThan(2);
    expect(mostOfUser).toBe(2);
  });

  it('of a node that leaves go on elsewhere without waiting for its lease', async () => {
    const a = await cluster.node({ v: untilAborted });
    const task = await a.submit('v', 1);
    await eventually(
      () => a.began.length,
      (count) => count === 1,
    );
    const b = await cluster.node({ v: async () => 'here' });
    const from = performance.now();
    await a.stop();
    const state = await ended(b, task.id);
    expect(state).toMatchObject({ status: 'completed', fence: 2 });
    expect(performance.now() - from).toBeLessThan(20_000);
  });
});
