import { eventually } from '../clock/patience.js';
import { orphansStatement } from '../../../lib/engines/cluster/storage/membership-reads.js';
import { keyHash } from '../../../lib/domain/task-key.js';
import type { ClusterDatabase } from '../../../lib/engines/cluster/storage/cluster-database.js';
import {
  applyCall,
  cancellation,
  claimCall,
  completion,
  freshId,
  mark,
  moveOf,
  newTask,
  rescue,
  submitCall,
} from '../database/cluster-house.js';
import type { ClusterStage, Encounter } from '../database/cluster-stage.js';

const LIMITS = { all: 3, perUser: 2, recovering: 5, suspect: 1 };
/** What `watchLimits` is told. */
export const WATCHED = { all: LIMITS.all, perUser: LIMITS.perUser, handlers: { few: 1 } };

type Applied = { readonly applied: readonly boolean[] };
const appliedOf = (outcomes: readonly unknown[]): boolean[][] => outcomes.map((outcome) => [...(outcome as Applied).applied]);

/** What two nodes do at the same moment, by what must come of it. Each begins with a cluster in which nothing waits and nothing runs. */
export class Encounters {
  constructor(
    private readonly stage: ClusterStage,
    private readonly node: ClusterDatabase,
  ) {}

  private async empty(): Promise<void> {
    // DELETE, since a TRUNCATE syncs the files of seven tables.
    const tables = ['tasks', 'events', 'queue', 'runs', 'windows', 'admissions', 'members'];
    await this.stage.house.sql.query(tables.map((table) => `DELETE FROM taskflow_${table}`).join('; '));
  }

  async twoClaims(): Promise<Encounter> {
    await this.empty();
    const tasks = [
      ...['u', 'u', 'u', 'v', 'v', 'v'].map((userId) => newTask({ userId })),
      newTask({ name: 'few' }),
      newTask({ name: 'few' }),
    ];
    await this.node.submit(submitCall(tasks));
    const handlers = [
      { name: 'few', limit: 1 },
      { name: 'work', limit: null },
    ];
    const claim = (me: string) => this.stage.claim(claimCall({ me, handlers, limits: LIMITS }));
    const judge = async (): Promise<string[]> => {
      const [{ n }] = (await this.stage.house.rows<{ n: number }>('SELECT count(*)::int AS n FROM taskflow_runs')) as [{ n: number }];
      return n === LIMITS.all ? [] : [`${n} tasks run where ${LIMITS.all} may`];
    };
    return { first: claim('node-a'), second: claim('node-b'), judge };
  }

  private async waiting(...tasks: ReturnType<typeof newTask>[]) {
    await this.empty();
    await this.node.submit(submitCall(tasks));
    return Promise.all(tasks.map(async ({ id }) => (await this.stage.house.state(id))!));
  }

  private async running(...tasks: ReturnType<typeof newTask>[]) {
    await this.empty();
    await this.node.submit(submitCall(tasks));
    return (await this.node.claim(claimCall())).runs.map(({ task }) => task);
  }

  async claimAndCancel(): Promise<Encounter> {
    const [task] = await this.waiting(newTask());
    const judge = (outcomes: readonly unknown[]): string[] => {
      const [{ runs }, { applied }] = outcomes as [{ runs?: unknown[][] }, Applied];
      const [claimed] = [(runs ?? []).flat().length === 1];
      return claimed !== applied[0] ? [] : [`claimed ${claimed}, cancelled ${applied[0]}`];
    };
    return {
      first: this.stage.claim(claimCall({ me: 'node-b', limits: LIMITS })),
      second: this.stage.apply(applyCall([cancellation(task!)])),
      judge,
    };
  }

  async cancelThenClaim(): Promise<Encounter> {
    const [task] = await this.waiting(newTask({ userId: 'u' }), newTask({ userId: 'v' }));
    return {
      first: this.stage.step(applyCall([cancellation(task!)]), claimCall({ limits: LIMITS })),
      second: this.stage.claim(claimCall({ me: 'node-b', limits: LIMITS })),
      judge: () => [],
    };
  }

  async finishAndRescue(): Promise<Encounter> {
    const [run] = await this.running(newTask());
    return {
      first: this.stage.apply(applyCall([completion(run!)])),
      second: this.stage.apply(applyCall([rescue(run!, 'node-b')], 'node-b')),
      judge: exactlyOne,
    };
  }

  async finishAndMark(): Promise<Encounter> {
    const [run] = await this.running(newTask());
    return {
      first: this.stage.apply(applyCall([completion(run!)])),
      second: this.stage.apply(applyCall([mark(run!)], 'node-b')),
      judge: exactlyOne,
    };
  }

  async sameKeys(): Promise<Encounter> {
    await this.empty();
    const submit = (...keys: string[]) => this.stage.submit(submitCall(keys.map((key) => newTask({ key }))));
    const judge = async (outcomes: readonly unknown[]): Promise<string[]> => {
      const states = outcomes.flatMap((outcome) => (outcome as { states?: string[] }).states ?? ['c', 'c', 'c']);
      const count = (state: string): number => states.filter((each) => each === state).length;
      return count('c') === 3 && count('e') === 3 ? [] : [`answers ${states.join('')}`];
    };
    return { first: submit('1', '2', '3'), second: submit('3', '2', '1'), judge };
  }

  async hostTransaction(): Promise<Encounter> {
    await this.empty();
    const id = freshId();
    return {
      first: this.stage.submit(submitCall([newTask(), newTask({ key: 'host' })])),
      second: async (client) => {
        await client.query('SELECT test_gate()');
        await client.query(
          `INSERT INTO taskflow_tasks (id, home, name, scoped_key, key_hash, type, status, priority, attempt, max_attempts, failures, fence, life,
            recoveries, timeout_ms, last_seq, created_at, run_at, last_event_at, owner)
            VALUES ($1, 'host', 'x', 'x', $2, 'user', 'created', 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 'host')
            ON CONFLICT DO NOTHING`,
          [id, keyHash('n:host')],
        );
        return undefined;
      },
      judge: async ([answer]) => {
        const [{ n }] = (await this.stage.house.rows<{ n: number }>('SELECT count(*)::int AS n FROM taskflow_tasks WHERE home = $1', [
          'host',
        ])) as [{ n: number }];
        const { states, details } = answer as { states?: string[]; details?: string[] };
        if (n === 0) return states === undefined ? [] : ['refused, though the host was late'];
        return states?.join('') === 'ce' && details?.[1] === id ? [] : [`answered ${states?.join('') ?? 'all made'}`];
      },
    };
  }

  async slotAndClaim(): Promise<Encounter> {
    await this.empty();
    await this.node.submit(submitCall([newTask({ userId: 'u' }), newTask({ userId: 'u' })]));
    const start = { limits: LIMITS, handlerLimit: null };
    return {
      first: this.stage.submit(submitCall([newTask({ userId: 'u' })], { start })),
      second: this.stage.claim(claimCall({ me: 'node-b', limits: LIMITS })),
      judge: () => [],
    };
  }
}

/** By name, for `everyOrder`. */
export const ENCOUNTERS = {
  'two claims never exceed a limit together, and take no task twice': (on: Encounters) => on.twoClaims(),
  'a task that is claimed and cancelled at once is either': (on: Encounters) => on.claimAndCancel(),
  'a node that cancels and then claims waits for nobody who waits for it': (on: Encounters) => on.cancelThenClaim(),
  'a run that ends and is rescued at once does either': (on: Encounters) => on.finishAndRescue(),
  'a run that completes and is asked to stop at once does either': (on: Encounters) => on.finishAndMark(),
  'two submits of the same keys make one task of each': (on: Encounters) => on.sameKeys(),
  'a key that a host transaction takes meanwhile is answered with its task': (on: Encounters) => on.hostTransaction(),
  'a slot is given to a submit or to a claim, not to both': (on: Encounters) => on.slotAndClaim(),
} as const satisfies Record<string, (on: Encounters) => Promise<Encounter>>;

function exactlyOne(outcomes: readonly unknown[]): string[] {
  const n = appliedOf(outcomes).flat().filter(Boolean).length;
  return n === 1 ? [] : [`${n} of two took effect`];
}

/** Checks that need no two at once. @returns what is wrong. */
export class Rules {
  constructor(
    private readonly stage: ClusterStage,
    private readonly node: ClusterDatabase,
  ) {}

  /** Each waits for the task that it asks for first; the second one's is let go first, and then the first one's. */
  async sameTasks(): Promise<string[]> {
    const { house } = this.stage;
    const given = [newTask(), newTask()];
    await this.node.submit(submitCall(given));
    const tasks = await Promise.all(given.map(async ({ id }) => (await house.state(id))!));
    const [first, second] = [await this.holding(given[0]!.id), await this.holding(given[1]!.id)];
    const calls: Promise<unknown>[] = [];
    for (const [me, order] of [['node-a', tasks] as const, ['node-b', tasks.toReversed()] as const]) {
      const call = this.stage.apply(
        applyCall(
          order.map((task) => cancellation(task, me)),
          me,
        ),
      );
      calls.push(call(await house.client()).catch((error: unknown) => error));
    }
    await this.allBlocked(2);
    await second.query('COMMIT');
    await this.allBlocked(2);
    await first.query('COMMIT');
    const outcomes = await Promise.all(calls);
    const failed = outcomes.filter((each) => each instanceof Error).map((error) => (error as Error).message);
    const n = outcomes.flatMap((each) => (each instanceof Error ? [] : [...(each as Applied).applied])).filter(Boolean).length;
    return [...failed, ...(n === 2 ? [] : [`${n} cancellations`])];
  }

  private async holding(id: string) {
    const client = await this.stage.house.client();
    await client.query('BEGIN');
    await client.query('SELECT FROM taskflow_queue WHERE task_id = $1 FOR UPDATE', [id]);
    return client;
  }

  private async allBlocked(n: number): Promise<void> {
    const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`;
    await eventually(
      () => this.stage.house.rows<{ n: number }>(sql),
      (rows) => rows[0]!.n === n,
    );
  }

  async oldRequest(): Promise<string[]> {
    const { id } = newTask();
    await this.node.submit(submitCall([newTask({ id })]));
    const old = (await this.node.claim(claimCall())).runs.map(({ task }) => task).find((task) => task.id === id)!;
    await this.node.apply(applyCall([rescue(old)]));
    await this.node.claim(claimCall());
    const { outcomes } = await this.node.apply(applyCall([mark(old)]));
    return outcomes[0] === 'stale' ? [] : ['it did'];
  }

  async lateEnd(): Promise<string[]> {
    const { id } = newTask();
    await this.node.submit(submitCall([newTask({ id })]));
    const run = (await this.node.claim(claimCall())).runs.map(({ task }) => task).find((task) => task.id === id)!;
    await this.node.apply(applyCall([moveOf(run, 'runs', { place: 'runs', progressSeq: 3 }, { type: 'progress', data: { payload: 1 } })]));
    const answer = await this.node.apply(applyCall([completion(run)])).catch((error: unknown) => error as Error);
    if (answer instanceof Error) return [answer.message];
    return answer.outcomes[0] === 'stale' ? [] : ['it was made'];
  }

  async beatMeanwhile(): Promise<string[]> {
    await this.node.register({ id: 'alive', version: '1', handlers: [], configHash: '' });
    await this.node.beat('alive', false);
    return (await this.node.reap('alive', 1)) ? ['it was reaped'] : [];
  }

  async silentRun(statement: string = orphansStatement(this.stage.house.names)): Promise<string[]> {
    await this.node.register({ id: 'busy', version: '1', handlers: [], configHash: '' });
    await this.node.submit(submitCall([newTask()]));
    await this.node.claim(claimCall({ me: 'busy' }));
    await this.stage.house.sql.query(`UPDATE taskflow_runs SET last_event_at = 1, started_at = 1 WHERE owner = 'busy'`);
    const rows = await this.stage.house.rows<{ r_owner: string }>(statement.replace('?', '1000'));
    return rows.some(({ r_owner }) => r_owner === 'busy') ? ['it was'] : [];
  }
}

export const RULES = {
  'two moves of the same tasks wait for each other in one order': (on: Rules) => on.sameTasks(),
  'a request for an old run does not reach a new one': (on: Rules) => on.oldRequest(),
  'an end that does not know of an entry is decided again': (on: Rules) => on.lateEnd(),
  'a node that beat since it was looked at lives': (on: Rules) => on.beatMeanwhile(),
  'a run of a member is no orphan, however long it is silent': (on: Rules) => on.silentRun(),
} as const satisfies Record<string, (on: Rules) => Promise<string[]>>;
