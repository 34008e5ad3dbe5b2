import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ClusterDatabase } from '../../../lib/engines/cluster/storage/cluster-database.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import {
  applyCall,
  cancellation,
  claimCall,
  ClusterHouse,
  freshId,
  hasPostgres,
  moveOf,
  newTask,
  submitCall,
  whereSkipped,
} from '../../support/database/cluster-house.js';
import { taskId } from '../../../lib/contracts/ids.js';
import { unfolded, violations } from '../../support/oracle/cluster-invariants.js';

(hasPostgres ? describe : describe.skip)(`Submits to the cluster${whereSkipped}`, () => {
  let house: ClusterHouse;
  let node: ClusterDatabase;
  beforeAll(async () => {
    house = await ClusterHouse.open();
    node = await house.node();
  });
  afterEach(async () => {
    expect(await violations(house.sql)).toEqual([]);
    expect(await unfolded(house.sql, house.reads)).toEqual([]);
    await house.sql.query(
      'TRUNCATE taskflow_tasks, taskflow_events, taskflow_queue, taskflow_runs, taskflow_windows, taskflow_admissions, taskflow_retired_keys',
    );
  });
  afterAll(() => house.close());

  const kinds = async (...args: Parameters<typeof submitCall>): Promise<string[]> =>
    (await node.submit(submitCall(...args))).outcomes.map((outcome) => (outcome.kind === 'refused' ? outcome.limit : outcome.kind));
  const stateOf = async (id: string): Promise<TaskState> => (await house.state(id))!;

  it('are durable together: row, entry, place in the queue', async () => {
    const tasks = [newTask({ userId: 'u', tags: ['t'] }), newTask({ runAt: Date.now() + 60_000, delayMs: 60_000 })];
    const { outcomes, now } = await node.submit(submitCall(tasks));
    expect(outcomes).toEqual(tasks.map(() => ({ kind: 'created', at: now, keyBase: 0, started: false })));
    expect(await house.types(tasks[0]!.id)).toEqual(['created']);
    expect(await stateOf(tasks[0]!.id)).toMatchObject({ status: 'created', userId: 'u', tags: ['t'], input: '{"n":1}', createdAt: now });
    expect(await house.rows('SELECT due_at IS NULL AS ready FROM taskflow_queue ORDER BY task_id')).toEqual([
      { ready: true },
      { ready: false },
    ]);
  });

  it('that are made again after a lost answer are the same tasks, counted once', async () => {
    const tasks = [newTask({ key: 'k', userId: 'u' }), newTask()];
    const limits = { window: { sizeMs: 60_000, max: 2, maxPerUser: 1 } };
    const first = await node.submit(submitCall(tasks, limits));
    const again = await node.submit(submitCall(tasks, limits));
    expect(again.outcomes).toEqual(first.outcomes);
    expect(await house.rows(`SELECT n::int FROM taskflow_windows WHERE scope = '*'`)).toEqual([{ n: 2 }]);
  });

  it('of a key that a task has are answered with that task, at no cost', async () => {
    const first = newTask({ key: 'k' });
    await node.submit(submitCall([first]));
    const limits = { window: { sizeMs: 60_000, max: 2, maxPerUser: 9 } };
    const { outcomes } = await node.submit(submitCall([newTask({ key: 'k' }), newTask({ key: 'k' }), newTask()], limits));
    expect(outcomes.map(({ kind }) => kind)).toEqual(['existing', 'existing', 'created']);
    expect(outcomes[0]).toEqual({ kind: 'existing', id: first.id });
  });

  it('of one new key in one call make one task', async () => {
    const tasks = [newTask({ key: 'k' }), newTask({ key: 'k' })];
    const { outcomes } = await node.submit(submitCall(tasks));
    expect(outcomes[1]).toEqual({ kind: 'existing', id: tasks[0]!.id });
    expect(await house.rows('SELECT count(*)::int AS n FROM taskflow_tasks')).toEqual([{ n: 1 }]);
  });

  it('are admitted up to the window, of all and of each user, in their order', async () => {
    const users = ['a', 'a', 'a', 'b', null, 'b', null];
    const call = { window: { sizeMs: 60_000, max: 5, maxPerUser: 2 } };
    expect(
      await kinds(
        users.map((userId) => newTask({ userId })),
        call,
      ),
    ).toEqual(['created', 'created', 'user', 'created', 'created', 'created', 'global']);
    expect(await kinds([newTask({ userId: 'c', countsForUser: false })], call)).toEqual(['global']);
  });

  it('are told exactly how long the window stays closed', async () => {
    const call = { window: { sizeMs: 60_000, max: 3, maxPerUser: 2 } };
    const { now: firstAt } = await node.submit(submitCall([newTask({ userId: 'a' })], call));
    const { now: secondAt } = await node.submit(submitCall([newTask({ userId: 'a' })], call));
    const refused = await node.submit(submitCall([newTask({ userId: 'a' }), newTask(), newTask()], call));
    expect(refused.outcomes.map((outcome) => (outcome.kind === 'refused' ? [outcome.limit, outcome.retryAfterMs] : outcome.kind))).toEqual([
      ['user', firstAt + 60_000 - refused.now],
      'created',
      ['global', firstAt + 60_000 - refused.now],
    ]);
    // As if time had passed: the first admission leaves, the second is still inside.
    await house.sql.query('UPDATE taskflow_admissions SET at = at - 60000 WHERE at < $1', [secondAt]);
    expect(await kinds([newTask({ userId: 'a' }), newTask({ userId: 'a' })], call)).toEqual(['created', 'user']);
  });

  it('wait in bounded number, for a slot and for their time, in all and of each user', async () => {
    const bounds = { queued: { max: 4, maxPerUser: 2 }, delayed: { max: 2, maxPerUser: 1 } };
    const later = { runAt: Date.now() + 60_000 };
    const tasks = [
      ...['a', 'a', 'a', 'b', 'c', 'd'].map((userId) => newTask({ userId })),
      ...['a', 'a', 'b', 'c'].map((userId) => newTask({ userId, ...later })),
    ];
    const first = ['created', 'created', 'queue', 'created', 'created', 'queue', 'created', 'delayed', 'created', 'delayed'];
    // A user's own bound is looked at once the group could reach it.
    expect(await kinds(tasks, bounds)).toEqual(first);
    expect(await kinds([newTask({ userId: 'e' })], bounds)).toEqual(['queue']);
    await node.claim(claimCall({ want: 1 }));
    expect(await kinds([newTask({ userId: 'b' }), newTask({ userId: 'b' })], bounds)).toEqual(['created', 'queue']);
  });

  it('in one piece are all made, or none is', async () => {
    await node.submit(submitCall([newTask({ key: 'taken' })]));
    const tasks = [newTask(), newTask({ key: 'taken' })];
    expect(await kinds(tasks, { all: true })).toEqual(['withheld', 'existing']);
    expect(await kinds([newTask(), newTask()], { all: true, window: { sizeMs: 60_000, max: 2, maxPerUser: 9 } })).toEqual([
      'withheld',
      'global',
    ]);
    const good = [newTask(), newTask({ key: 'free' })];
    expect(await kinds(good, { all: true })).toEqual(['created', 'created']);
    expect(await kinds(good, { all: true })).toEqual(['created', 'created']);
    expect(await house.rows('SELECT count(*)::int AS n FROM taskflow_tasks')).toEqual([{ n: 3 }]);
  });

  it('that wait for a slot start with their own entry, or never were', async () => {
    const start = { limits: { all: 9, perUser: 1 }, handlerLimit: null };
    const [first, second] = [newTask({ userId: 'u' }), newTask({ userId: 'u' })];
    expect((await node.submit(submitCall([first], { start }))).outcomes).toMatchObject([{ kind: 'created', started: true }]);
    expect(await house.types(first.id)).toEqual(['created', 'start']);
    expect(await stateOf(first.id)).toMatchObject({ status: 'running', fence: 1, lastSeq: 2, owner: 'node-a' });
    expect(await kinds([second], { start })).toEqual(['slot']);
    expect(await house.state(second.id)).toBeNull();
    expect(await kinds([newTask({ userId: 'v' })], { start: { ...start, handlerLimit: 1 } })).toEqual(['slot']);
    expect(await kinds([newTask({ userId: 'v' })], { start: { ...start, limits: { all: 1, perUser: 1 } } })).toEqual(['slot']);
    expect(await house.rows(`SELECT n::int FROM taskflow_windows WHERE scope = '*'`)).toEqual([{ n: 1 }]);
  });

  it('take the key of an ended task over, unless that is not as it was seen', async () => {
    const first = newTask({ key: 'k', userId: 'u' });
    await node.submit(submitCall([first]));
    const waiting = await stateOf(first.id);
    const second = newTask({ key: 'k', userId: 'u', keyBase: 3 });
    const replaces = { id: first.id, fence: 0, lastSeq: 2, deadLetteredAt: null };
    expect(await kinds([{ ...second, replaces }])).toEqual(['stale']);
    await node.apply(applyCall([cancellation(waiting)]));
    expect(await kinds([{ ...second, replaces }])).toEqual(['created']);
    expect(await kinds([{ ...second, replaces }])).toEqual(['created']); // the answer was lost
    expect(await kinds([newTask({ key: 'k', userId: 'u', replaces })])).toEqual(['stale']);
    expect(await stateOf(first.id)).toMatchObject({ supersededBy: second.id, status: 'cancelled' });
    expect((await house.reads.findByKey('u1:u:k'))?.id).toBe(second.id);
  });

  it('of a key whose task was pruned go on behind the events of that one', async () => {
    const first = newTask({ key: 'k' });
    await node.submit(submitCall([first]));
    await node.apply(applyCall([cancellation(await stateOf(first.id))]));
    const ended = await stateOf(first.id);
    const gone = {
      seen: { place: 'ended', fence: 0, lastSeq: 2, deadLetteredAt: null, supersededBy: null },
      next: { place: 'gone' },
    } as const;
    expect((await node.apply(applyCall([{ ...gone, task: ended, entries: [] }]))).outcomes).toEqual(['applied']);
    expect(await house.rows('SELECT count(*)::int AS n FROM taskflow_events')).toEqual([{ n: 0 }]);
    const second = newTask({ key: 'k' });
    expect((await node.submit(submitCall([second]))).outcomes).toMatchObject([{ kind: 'created', keyBase: 3 }]);
    expect((await stateOf(second.id)).keyBase).toBe(3);
  });

  it('come to run when their time has come, first those that were due first', async () => {
    const [late, soon] = [newTask({ runAt: Date.now() + 50_000 }), newTask({ runAt: Date.now() + 40_000 })];
    await node.submit(submitCall([late, soon]));
    expect(await node.due(10)).toMatchObject({ moved: 0, nextAt: soon.runAt });
    expect((await node.claim(claimCall())).runs).toEqual([]);
    await house.sql.query('UPDATE taskflow_queue SET due_at = due_at - 60000');
    expect(await node.due(10)).toMatchObject({ moved: 2, nextAt: null });
    expect((await node.claim(claimCall())).runs.map(({ task }) => task.id)).toEqual([soon.id, late.id]);
  });

  it('that expired before they started are not started, and are found to be ended', async () => {
    const expiresAt = Date.now() + 40_000;
    const task = newTask({ expiresAt });
    await node.submit(submitCall([task]));
    expect(await house.reads.expired(Date.now(), 10)).toEqual([]);
    await house.sql.query('UPDATE taskflow_queue SET expires_at = 1');
    expect((await node.claim(claimCall())).runs).toEqual([]);
    const [late] = await house.reads.expired(Date.now(), 10);
    expect(late?.id).toBe(task.id);
    const error = { name: 'TaskExpiredError', message: 'late', retryable: false };
    await node.apply(applyCall([moveOf(late!, 'queue', { place: 'ended' }, { type: 'error', data: { error } })]));
    expect(await stateOf(task.id)).toMatchObject({ status: 'failed', error });
  });

  it('with values that no database holds are refused, and nothing else of the group is made', async () => {
    const bad = newTask({ name: 'bad\u0000name' });
    await expect(node.submit(submitCall([newTask(), bad]))).rejects.toMatchObject({ refusal: 'never', outcome: 'none' });
    expect(await house.rows('SELECT count(*)::int AS n FROM taskflow_tasks')).toEqual([{ n: 0 }]);
  });

  it('wait for no host transaction that holds their key for longer than they say', async () => {
    const host = await house.client();
    await host.query('BEGIN');
    const key = newTask({ key: 'held' });
    await host.query(
      `INSERT INTO taskflow_tasks (id, home, name, scoped_key, key_hash, type, status, priority, attempt, max_attempts, failures, fence, life, recoveries,
        timeout_ms, last_seq, created_at, run_at, last_event_at, owner) SELECT $1, 'host', 'x', 'x', $2, 'user', 'created', 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 'host'`,
      [freshId(), (await import('../../../lib/domain/task-key.js')).keyHash('n:held')],
    );
    await expect(node.submit(submitCall([newTask(), key], { lockMs: 50 }))).rejects.toMatchObject({
      refusal: 'later',
      outcome: 'none',
      sqlState: '55P03',
    });
    await host.query('ROLLBACK');
    expect(await kinds([key])).toEqual(['created']);
    expect(taskId(key.id)).toBe(key.id);
  });
});
