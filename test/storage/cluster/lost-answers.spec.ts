import { describe, expect, it } from '@jest/globals';
import type { ServerFunctions } from '../../../lib/engines/cluster/storage/server-functions.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { eventually } from '../../support/clock/patience.js';
import { clusterOf, hasPostgres } from '../../support/cluster/cluster-of.js';
import type { EngineNode, TestHandler } from '../../support/cluster/engine-node.js';

const describeWithPostgres = hasPostgres ? describe : describe.skip;
const untilAborted: TestHandler = ({ ended }) => new Promise((resolve) => ended.addEventListener('abort', resolve));
const lost = (): RepositoryError => new RepositoryError('UNAVAILABLE', 'cut', 1, { outcome: 'unknown' });

/** The call is made, and its answer does not arrive. @returns how often that happened. */
function loseAnswers(node: EngineNode, name: keyof ServerFunctions, loses: (answer: never) => boolean): { readonly count: number } {
  const { functions } = node.parts.storage;
  const real = functions[name].bind(functions) as (...args: unknown[]) => Promise<never>;
  const fault = { count: 0 };
  Object.assign(functions, {
    [name]: async (...args: unknown[]) => {
      const answer = await real(...args);
      if (!loses(answer)) return answer;
      fault.count++;
      throw lost();
    },
  });
  return fault;
}

const once = (): (() => boolean) => {
  let isDone = false;
  return () => !isDone && (isDone = true);
};

describeWithPostgres('A call whose answer is lost', () => {
  const cluster = clusterOf();
  const untilEnded = (node: EngineNode, id: Parameters<EngineNode['events']>[0]) =>
    eventually(
      () => node.engine.queries.find(id),
      (state) => state?.completedAt != null,
    );

  it('of a submit creates one task', async () => {
    const a = await cluster.node({ s: async () => 0 });
    const fault = loseAnswers(a, 'submit', once());
    const task = await a.submit('s', 1, { key: 'lost' });
    expect(fault.count).toBe(1);
    await untilEnded(a, task.id);
    expect((await a.submit('s', 1, { key: 'lost' })).id).toBe(task.id);
    expect(a.began).toHaveLength(1);
  });

  it('of a claim begins its runs all the same, once', async () => {
    const a = await cluster.node({ c: async () => 0 });
    let isDone = false;
    const fault = loseAnswers(a, 'claim', ({ runs }: { runs: readonly unknown[] }) => runs.length > 0 && !isDone && (isDone = true));
    const task = await a.submit('c', 1);
    await untilEnded(a, task.id);
    expect(fault.count).toBe(1);
    expect(await a.events(task.id)).toEqual(['created', 'start', 'complete']);
    expect(a.began).toHaveLength(1);
  });

  it('of an end is found done, and not done twice', async () => {
    const a = await cluster.node({ e: async () => 'x' });
    const first = once();
    const fault = loseAnswers(a, 'step', ({ outcomes }: { outcomes: readonly string[] }) => outcomes.includes('applied') && first());
    const task = await a.submit('e', 1);
    await untilEnded(a, task.id);
    expect(fault.count).toBe(1);
    await eventually(
      () => a.parts.runs.size,
      (size) => size === 0,
    );
    expect(await a.events(task.id)).toEqual(['created', 'start', 'complete']);
    expect(a.log.filter((line) => line.includes('broke off'))).toEqual([]);
  });
});

describeWithPostgres('A node that cannot prove that it lives', () => {
  const cluster = clusterOf();

  it('gives up its runs before others have them, writes nothing more for them, and comes back under a new name', async () => {
    const a = await cluster.node({ f: untilAborted });
    const task = await a.submit('f', 1);
    await eventually(
      () => a.began.length,
      (count) => count === 1,
    );
    const b = await cluster.node({ f: async () => 'by b' });
    const before = a.parts.membership.me;
    let refused = 0;
    const { functions, beats } = a.parts.storage;
    const real = { beat: beats.beat.bind(beats), register: functions.register.bind(functions) };
    const refuse = (): Promise<never> => {
      refused++;
      return Promise.reject(lost());
    };
    Object.assign(beats, { beat: refuse });
    Object.assign(functions, { register: refuse });
    const lostAt = eventually(
      () => a.lost.length,
      (count) => count === 1,
    ).then(() => performance.now());
    const startedAt = eventually(
      () => b.began.length,
      (count) => count === 1,
    ).then(() => performance.now());
    expect(await lostAt).toBeLessThan(await startedAt);
    expect(refused).toBeGreaterThan(1);
    const expect1 = { fence: 1, status: ['running'] as const };
    expect((await a.engine.facts.append([{ type: 'complete', taskId: task.id, data: { result: 'late' }, expect: expect1 }])).kind).toBe(
      'stale',
    );
    const state = await eventually(
      () => b.engine.queries.find(task.id),
      (found) => found?.completedAt != null,
    );
    expect(state).toMatchObject({ result: '"by b"' });
    expect(state!.fence).toBeGreaterThan(1);
    Object.assign(beats, { beat: real.beat });
    Object.assign(functions, { register: real.register });
    await eventually(
      () => a.parts.membership.mayClaim,
      (may) => may,
    );
    expect(a.parts.membership.me).not.toBe(before);
    expect((await functions.members()).members.map(({ id }) => id)).not.toContain(before);
  });
});
