import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskState } from '../../../lib/domain/task-state.js';
import type { ClusterDatabase } from '../../../lib/engines/cluster/storage/cluster-database.js';
import { packed } from '../../../lib/engines/cluster/storage/packed-entries.js';
import type { ClaimCall } from '../../../lib/engines/cluster/storage/server-functions.js';
import type { NewTask } from '../../../lib/engines/cluster/storage/submit-call.interface.js';
import {
  applyCall,
  cancellation,
  claimCall,
  ClusterHouse,
  completion,
  hasPostgres,
  mark,
  moveOf,
  newTask,
  rescue,
  submitCall,
  whereSkipped,
} from '../../support/database/cluster-house.js';
import { ownerless, unfolded, violations } from '../../support/oracle/cluster-invariants.js';

(hasPostgres ? describe : describe.skip)(`Runs in the cluster${whereSkipped}`, () => {
  let house: ClusterHouse;
  let node: ClusterDatabase;
  beforeAll(async () => {
    house = await ClusterHouse.open();
    node = await house.node();
  });
  afterEach(async () => {
    const wrong = [...(await violations(house.sql)), ...(await unfolded(house.sql, house.reads))];
    await house.sql.query(
      `TRUNCATE taskflow_tasks, taskflow_events, taskflow_queue, taskflow_runs, taskflow_windows, taskflow_admissions, taskflow_members;
       DELETE FROM taskflow_turns WHERE name <> ''; UPDATE taskflow_turns SET at_name = '', at_user = ''`,
    );
    expect(wrong).toEqual([]);
  });
  afterAll(() => house.close());

  const submit = async (...tasks: NewTask[]): Promise<void> => void (await node.submit(submitCall(tasks)));
  const claim = async (members: Partial<ClaimCall> = {}): Promise<TaskState[]> =>
    (await node.claim(claimCall(members))).runs.map(({ task }) => task);
  const users = async (members: Partial<ClaimCall>): Promise<(string | null)[]> => (await claim(members)).map(({ userId }) => userId);
  const apply = async (...moves: Parameters<typeof applyCall>[0]): Promise<readonly string[]> =>
    (await node.apply(applyCall(moves))).outcomes;
  const stateOf = async (id: string): Promise<TaskState> => (await house.state(id))!;
  const all = (limit: number) => ({ all: limit, perUser: 10, recovering: 5, suspect: 1 });

  it('begin with a start that is durable, and with their input', async () => {
    const task = newTask({ input: '{"big":"one"}' });
    await submit(task);
    const [run] = await claim();
    expect(run).toEqual(await stateOf(task.id));
    expect(run).toMatchObject({ status: 'running', fence: 1, lastSeq: 2, input: '{"big":"one"}', owner: 'node-a' });
    expect(await claim()).toEqual([]);
  });

  it('go round all users of all handlers, whatever waits of each', async () => {
    await submit(...Array.from({ length: 6 }, () => newTask({ userId: 'a' })));
    await submit(
      newTask({ userId: 'b' }),
      newTask({ userId: 'b' }),
      newTask({ userId: 'c' }),
      newTask(),
      newTask({ userId: 'a', name: 'other' }),
    );
    const handlers = [
      { name: 'work', limit: null },
      { name: 'other', limit: null },
    ];
    expect(await users({ want: 3, handlers })).toEqual(['a', null, 'a']);
    expect(await users({ want: 3, handlers })).toEqual(['b', 'c', 'a']);
    expect(await users({ want: 9, handlers })).toEqual(['b', 'a', 'a', 'a', 'a']);
  });

  it('of one user begin by priority, then by age', async () => {
    const [third, first, second] = [newTask({ priority: 5 }), newTask({ priority: -1 }), newTask({ priority: 0 })];
    await submit(third, first, second);
    expect((await claim({ want: 3 })).map(({ id }) => id)).toEqual([first.id, second.id, third.id]);
  });

  it('stay within the limits of all, of each user, and of each handler', async () => {
    await submit(...['a', 'a', 'a', 'b', 'b', 'b', null, null, null].map((userId) => newTask({ userId })));
    await submit(...['a', 'b', 'c'].map((userId) => newTask({ userId, name: 'few' })));
    const handlers = [
      { name: 'few', limit: 1 },
      { name: 'work', limit: null },
    ];
    const limits = { ...all(7), perUser: 2 };
    const runs = await claim({ handlers, limits });
    expect(runs).toHaveLength(7);
    const count = (of: (run: TaskState) => boolean): number => runs.filter(of).length;
    expect([count(({ userId }) => userId === 'a'), count(({ name }) => name === 'few')]).toEqual([2, 1]);
    expect(await claim({ handlers, limits })).toEqual([]);
  });

  it('of a handler at its limit are given to its users in turn, also beside a handler without one', async () => {
    await submit(...['a', 'b', 'c'].flatMap((userId) => [newTask({ userId, name: 'few' }), newTask({ userId, name: 'few' })]));
    const served: (string | null)[] = [];
    for (let round = 0; round < 6; round++) {
      await submit(newTask({ name: 'zero' }));
      const runs = await claim({
        handlers: [
          { name: 'few', limit: 1 },
          { name: 'zero', limit: null },
        ],
      });
      served.push(...runs.filter(({ name }) => name === 'few').map(({ userId }) => userId));
      expect(await apply(...runs.map((run) => completion(run)))).toEqual(['applied', 'applied']);
    }
    expect(served).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  it('of a user at his limit are given to his handlers in turn', async () => {
    await submit(...['x', 'y'].flatMap((name) => [1, 2, 3].map(() => newTask({ name, userId: 'u' }))));
    const served: string[] = [];
    for (let round = 0; round < 6; round++) {
      const handlers = ['x', 'y'].map((name) => ({ name, limit: null }));
      const [run] = await claim({ handlers, limits: { ...all(50), perUser: 1 } });
      served.push(run!.name);
      await apply(completion(run!));
    }
    expect(served.filter((name) => name === 'x')).toHaveLength(3);
    expect(new Set(served.slice(0, 4)).size).toBe(2);
  });

  it('of handlers that the node has not got are left to others', async () => {
    await submit(newTask({ name: 'elsewhere' }));
    expect(await claim()).toEqual([]);
    expect(await house.reads.sizes(['work'])).toEqual({ ready: 1, delayed: 0, runs: 0, parked: 1 });
  });

  it('report in groups, as one row, and their newest progress is in the task', async () => {
    await submit(newTask());
    const run = (await claim())[0]!;
    const at = run.lastEventAt + 1;
    const entries = [1, 2, 3].map((n) => ({
      taskSeq: 2 + n,
      type: n === 3 ? ('custom' as const) : ('progress' as const),
      at,
      attempt: 1,
      fence: 1,
      body: n === 3 ? '{"eventName":"e"}' : `{"payload":${n}}`,
    }));
    const after = { ...run, lastSeq: 5, lastEventAt: at };
    const move = {
      seen: { place: 'runs', fence: 1, lastSeq: 2 },
      next: { place: 'runs', progressSeq: 4 },
      task: after,
      entries: packed(entries),
    } as const;
    expect(await apply(move)).toEqual(['applied']);
    expect(await apply(move)).toEqual(['applied']); // its answer was lost
    expect(await house.rows('SELECT count(*)::int AS n FROM taskflow_events')).toEqual([{ n: 3 }]);
    expect(await house.reads.entriesAfter(run.id, 3, 10)).toEqual(entries.slice(1));
    expect(await house.reads.follow(new Map([[run.id, 4]]))).toEqual([{ id: run.id, entries: entries.slice(2) }]);
    expect(await stateOf(run.id)).toMatchObject({ lastSeq: 5, progress: '2' });
    expect(await apply(completion(await stateOf(run.id)))).toEqual(['applied']);
    expect(await stateOf(run.id)).toMatchObject({ status: 'completed', result: '1', progress: '2' });
  });

  it('end once: whoever comes second, or with an old fence, writes nothing', async () => {
    await submit(newTask());
    const run = (await claim())[0]!;
    expect(await apply(rescue(run, 'node-b'))).toEqual(['applied']);
    expect(await apply(completion(run))).toEqual(['stale']);
    const [second] = await claim({ me: 'node-b' });
    expect(second).toMatchObject({ fence: 2, recoveries: 1 });
    expect(await apply(completion(run))).toEqual(['stale']);
    expect(await apply(completion(second!, 'node-b'))).toEqual(['applied']);
    expect(await house.types(run.id)).toEqual(['created', 'start', 'recovered', 'start', 'complete']);
  });

  it('that somebody asked to end do not complete, whatever they reported meanwhile', async () => {
    await submit(newTask());
    const run = (await claim())[0]!;
    expect(await apply(mark(run, 'enough'))).toEqual(['applied']);
    expect(await apply(mark(run))).toEqual(['stale']);
    expect(await apply(completion(run))).toEqual(['stale']);
    expect(await node.own('node-a')).toMatchObject([{ id: run.id, cancelRequest: { reason: 'enough' } }]);
    const asked = await stateOf(run.id);
    expect(asked.cancelRequest?.reason).toBe('enough');
    expect(await apply(moveOf(asked, 'runs', { place: 'ended' }, { type: 'cancelled' }))).toEqual(['applied']);
    expect(await stateOf(run.id)).toMatchObject({ status: 'cancelled', cancelRequest: { reason: 'enough' } });
  });

  it('end and begin in one commit: the place of one is free for the next', async () => {
    await submit(newTask(), newTask());
    const limits = all(1);
    const run = (await claim({ limits }))[0]!;
    const { outcomes, runs } = await node.step(applyCall([completion(run)]), claimCall({ limits }));
    expect(outcomes).toEqual(['applied']);
    expect(runs).toHaveLength(1);
  });

  it('that failed for good live again when somebody retries them by hand, once', async () => {
    await submit(newTask());
    const run = (await claim())[0]!;
    const error = { name: 'Error', message: 'no', retryable: false };
    await apply(moveOf(run, 'runs', { place: 'ended' }, { type: 'error', data: { error } }));
    const failed = await stateOf(run.id);
    expect(await house.reads.countDeadLetters(0, 10)).toBe(1);
    const retry = () =>
      moveOf(
        failed,
        'ended',
        { place: 'queue', kind: 0, dueAt: null },
        { type: 'retry', data: { reason: 'manual', runAt: 1, delayMs: 0 }, me: 'node-b' },
      );
    expect(await apply(retry())).toEqual(['applied']);
    expect(await apply({ ...retry(), entries: [{ ...retry().entries[0]!, at: 7 }] })).toEqual(['stale']);
    expect((await claim())[0]).toMatchObject({ life: 2, fence: 2, error: null });
  });

  it('whose node died begin before all others, a few at a time, and suspects alone', async () => {
    await submit(...Array.from({ length: 8 }, () => newTask()));
    const runs = await claim({ want: 5 });
    const kinds = [1, 1, 1, 2, 2] as const;
    await apply(...runs.map((run, at) => ({ ...rescue(run), next: { place: 'queue', kind: kinds[at]!, dueAt: null } as const })));
    const limits = { all: 50, perUser: 10, recovering: 2, suspect: 1 };
    const claimed = (await node.claim(claimCall({ limits, want: 4 }))).runs.map(({ kind }) => kind);
    expect(claimed).toEqual([2, 1, 1, 0]);
    expect((await node.claim(claimCall({ limits }))).runs.map(({ kind }) => kind)).toEqual([0, 0]);
  });

  it('are orphans when their node left, or stood still for all who watched', async () => {
    for (const id of ['node-a', 'node-b']) await node.register({ id, version: '1', handlers: ['work'], configHash: 'h' });
    await submit(newTask(), newTask());
    const [a] = await claim({ want: 1 });
    const [b] = await claim({ want: 1, me: 'node-b' });
    expect(await node.orphans(10)).toEqual([]);
    const seen = (await node.members()).members.map(({ id, beat, handlers }) => ({ id, beat, handlers }));
    expect(seen).toEqual(['node-a', 'node-b'].map((id) => ({ id, beat: 1, handlers: ['work'] })));
    expect(await node.beat('node-b', true)).toMatchObject({ alive: true, beat: 2 });
    expect(await node.reap('node-b', 1)).toBe(false);
    expect(await node.reap('node-a', 1)).toBe(true);
    expect(await node.beat('node-a', false)).toMatchObject({ alive: false });
    expect((await node.orphans(10)).map(({ task }) => task.id)).toEqual([a!.id]);
    expect(await ownerless(house.sql)).toEqual([a!.id]);
    await node.leave('node-b');
    expect((await node.orphans(10)).map(({ task }) => [task.id, task.lastHeartbeatAt! >= task.startedAt!])).toEqual([
      [a!.id, true],
      [b!.id, true],
    ]);
  });

  it('leave a waiting task to whoever cancels it first', async () => {
    const task = newTask();
    await submit(task);
    expect(await apply(cancellation(await stateOf(task.id)))).toEqual(['applied']);
    expect(await claim()).toEqual([]);
    expect(await house.types(task.id)).toEqual(['created', 'cancelled']);
  });

  it('of a log that moves in are taken over as they wait, once', async () => {
    const task = newTask();
    await submit(task);
    await house.sql.query(`DELETE FROM taskflow_queue; UPDATE taskflow_tasks SET home = 'old-log'`);
    const waiting = await stateOf(task.id);
    const seen = { place: 'foreign', fence: 0, lastSeq: 1, home: 'old-log' } as const;
    const move = { seen, next: { place: 'queue', kind: 0, dueAt: null }, task: { ...waiting, home: 'cluster' }, entries: [] } as const;
    expect(await apply(move)).toEqual(['applied']);
    expect(await apply(move)).toEqual(['stale']);
    expect(await claim()).toHaveLength(1);
  });

  it('hold a duty for one node at a time', async () => {
    expect(await node.hold('vacuum', 'node-a', 60_000)).toBe(true);
    expect(await node.hold('vacuum', 'node-b', 60_000)).toBe(false);
    expect(await node.hold('vacuum', 'node-a', 0)).toBe(true);
    await house.sql.query('SELECT pg_sleep(0.005)');
    expect(await node.hold('vacuum', 'node-b', 60_000)).toBe(true);
  });
});
