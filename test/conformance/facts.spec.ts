import { expect, it } from '@jest/globals';
import { CHANGE_FEED, FACT_PORT, TASK_QUERIES } from '../../lib/config/taskflow.tokens.js';
import type { ChangeFeed } from '../../lib/contracts/change-feed.interface.js';
import type { FactDraft, FactPort } from '../../lib/contracts/fact-port.interface.js';
import type { CommittedFact } from '../../lib/contracts/task-history.interface.js';
import type { TaskQueries } from '../../lib/contracts/task-queries.interface.js';
import type { Task } from '../../lib/contracts/task.interface.js';
import { forEveryEngine, type House } from './house.js';

type Change = Omit<FactDraft, 'taskId'>;
const error = { name: 'Error', message: 'no', retryable: true };
const RUN = { fence: 1, status: ['running'] as const };

/** Everything that may end a run, by whoever: handler, timeout, retry, cancel, shutdown, recovery. */
const OF_A_RUN: Record<string, Change> = {
  complete: { type: 'complete', data: { result: 1 }, expect: RUN },
  'timeout as last failure': { type: 'error', data: { error }, expect: RUN },
  'retry after failure': { type: 'retry', data: { reason: 'failed', runAt: 0, delayMs: 0, error }, expect: RUN },
  'release at shutdown': { type: 'retry', data: { reason: 'shutdown', runAt: 0, delayMs: 0 }, expect: RUN },
  cancelled: { type: 'cancelled', expect: RUN },
  recovered: { type: 'recovered', data: { reason: 'crash', recoveries: 1 }, expect: RUN },
};
const LATE: Record<string, Change> = {
  'late progress': { type: 'progress', data: { payload: 1 }, expect: RUN },
  'late heartbeat': { type: 'heartbeat', expect: RUN },
  'cancel request': { type: 'cancel', expect: RUN },
};
const DEAD = { status: ['failed'] as const, fence: 1, life: 1 };
const OF_A_DEAD_LETTER: Record<string, Change> = {
  'retry by hand': { type: 'retry', data: { reason: 'manual', runAt: 0, delayMs: 0 }, expect: DEAD },
  pruned: { type: 'pruned', expect: DEAD },
};
const STATES: Record<string, (house: House) => Promise<Task>> = {
  running: (house) => house.running(),
  failed: (house) => house.failed(),
};

const pairs = (first: Record<string, Change>, second = first): [string, string, Change, Change][] =>
  Object.entries(first).flatMap(([a, one]) =>
    Object.entries(second).map(([b, other]): [string, string, Change, Change] => [a, b, one, other]),
  );

forEveryEngine('Two changes in the same moment', (house) => {
  const factsOf = (): FactPort => house.node.get<FactPort>(FACT_PORT);
  const append = (task: Task, change: Change): Promise<string> =>
    factsOf()
      .append([{ ...change, taskId: task.id }])
      .then(({ kind }) => kind);
  const typesOf = async (task: Task): Promise<string[]> =>
    (await house.until(house.node.get<TaskQueries>(TASK_QUERIES).after(task.id, 0, 100))).map(({ type }) => type);

  it.each([
    ...pairs(OF_A_RUN).map((pair) => ['running', ...pair] as const),
    ...pairs(OF_A_RUN, LATE).map((pair) => ['running', ...pair] as const),
    ...pairs(OF_A_DEAD_LETTER).map((pair) => ['failed', ...pair] as const),
  ])('of a %s task: %s wins over %s when it comes first, and only one is seen', async (state, _first, _second, first, second) => {
    await house.open();
    const task = await STATES[state]!(house);
    const before = await typesOf(task);
    const told: string[] = [];
    house.node.get<ChangeFeed>(CHANGE_FEED).onCommitted((facts) => told.push(...facts.map(({ entry }) => entry.type)));
    expect(await house.until(Promise.all([append(task, first), append(task, second)]))).toEqual(['applied', 'stale']);
    expect(told[0]).toBe(first.type);
    if (first.type !== 'pruned') expect((await typesOf(task)).slice(before.length, before.length + 1)).toEqual([first.type]);
  });

  it.each(Object.entries(OF_A_RUN).filter(([name]) => name !== 'cancelled'))(
    'of a run that was asked to stop: %s does not end it, a cancel request that came first leaves only cancelled',
    async (_name, other) => {
      await house.open();
      const task = await house.running();
      const racing = [LATE['cancel request']!, other, OF_A_RUN['cancelled']!].map((change) => append(task, change));
      expect(await house.until(Promise.all(racing))).toEqual(['applied', 'stale', 'applied']);
      expect(await typesOf(task)).toEqual(['created', 'start', 'cancelled']);
    },
  );

  it.each(Object.entries({ ...OF_A_RUN, ...LATE }))(
    'of which %s comes from a run that ended, is refused by the fence',
    async (_name, late) => {
      await house.open();
      const task = await house.running({ maxAttempts: 3 });
      house.work.run(task.id).reject(new Error('once'));
      await house.runs(task);
      expect(house.work.run(task.id).ctx.fence).toBe(2);
      const before = await typesOf(task);
      expect(await house.until(append(task, late))).toBe('stale');
      expect(await typesOf(task)).toEqual(before);
      await house.complete(task);
    },
  );
});

forEveryEngine('Facts', (house) => {
  const facts = (): FactPort => house.node.get<FactPort>(FACT_PORT);
  const history = (): TaskQueries => house.node.get<TaskQueries>(TASK_QUERIES);

  it('of one group are durable together, in their order, or not at all', async () => {
    await house.open();
    const task = await house.running();
    const progress = (payload: number): FactDraft => ({ type: 'progress', taskId: task.id, data: { payload }, expect: RUN });
    const applied = await house.until(facts().append([progress(1), progress(2), progress(3)]));
    expect(applied).toMatchObject({ kind: 'applied', seq: 5, task: { lastSeq: 5 } });
    const late = { ...progress(5), expect: { fence: 7 } };
    expect(await house.until(facts().append([progress(4), late]))).toMatchObject({ kind: 'stale', task: { lastSeq: 5 } });
    expect((await house.until(history().after(task.id, 2, 100))).map(({ taskSeq, body }) => [taskSeq, JSON.parse(body)])).toEqual(
      [1, 2, 3].map((payload) => [payload + 2, { payload }]),
    );
  });

  it('of several tasks are durable together or not at all', async () => {
    await house.open();
    const [one, other] = [await house.failed(), await house.failed()];
    const removed = (task: Task): readonly FactDraft[] => [
      { type: 'dlq-removed', taskId: task.id, expect: { status: ['failed'], deadLettered: true } },
    ];
    expect(await house.until(facts().appendAll([removed(one), removed(other)]))).toMatchObject({ kind: 'applied' });
    const third = await house.failed();
    // `one` is no dead letter any more: nothing of the whole call is done.
    expect(await house.until(facts().appendAll([removed(third), removed(one)]))).toMatchObject({ kind: 'stale' });
    expect((await house.now(third))?.deadLetteredAt).not.toBeNull();
  });

  it('of a task that nobody knows are stale, and its state is null', async () => {
    await house.open();
    const unknown = '01900000-0000-7000-8000-000000000000' as Task['id'];
    expect(await house.until(facts().append([{ type: 'cancelled', taskId: unknown }]))).toEqual({ kind: 'stale', task: null });
    expect(await house.until(facts().load(unknown))).toBeNull();
    expect(await house.until(history().after(unknown, 0, 10))).toEqual([]);
  });

  it('are told once each, in the order of their task, and not before they are durable', async () => {
    await house.open();
    const told: CommittedFact[] = [];
    house.node.get<ChangeFeed>(CHANGE_FEED).onCommitted((committed) => told.push(...committed));
    const task = await house.running();
    const { ctx } = house.work.run(task.id);
    const emitted = Array.from({ length: 10 }, (_, n) => ctx.progress(n));
    await house.until(Promise.all(emitted));
    await house.complete(task);
    const seqs = told.filter((fact) => fact.task.id === task.id && fact.entry.taskSeq !== undefined).map(({ entry }) => entry.taskSeq);
    expect(seqs).toEqual(Array.from({ length: 13 }, (_, n) => n + 1));
  });

  it('show a cancel request to the run that is about to end as soon as it was asked for', async () => {
    await house.open();
    const task = await house.running();
    const request = facts().append([{ type: 'cancel', taskId: task.id, data: { reason: 'enough' }, expect: RUN }]);
    house.work.run(task.id).resolve('too late');
    expect((await house.until(request)).kind).toBe('applied');
    expect(await house.reaches('cancelled', task)).toMatchObject({ cancelReason: 'enough' });
  });
});
