import type pg from 'pg';
import { taskId } from '../../../lib/contracts/ids.js';
import { fold } from '../../../lib/domain/fold.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import type { ClusterReads } from '../../../lib/engines/cluster/storage/cluster-reads.js';

const ENDS = `('complete', 'error', 'cancelled')`;

/** Each finds what must never be, by the id of a task or by a text; with SQL of its own, none of the library's. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  'a task is in no place, or in two': `SELECT t.id AS what FROM taskflow_tasks t WHERE t.home = 'cluster' AND 1 <>
      (SELECT count(*) FROM taskflow_queue q WHERE q.task_id = t.id) + (SELECT count(*) FROM taskflow_runs r WHERE r.task_id = t.id)
      + CASE WHEN t.completed_at IS NULL THEN 0 ELSE 1 END`,
  'a place has no task': `SELECT task_id AS what FROM (SELECT task_id FROM taskflow_queue UNION ALL SELECT task_id FROM taskflow_runs) p
      WHERE NOT EXISTS (SELECT FROM taskflow_tasks t WHERE t.id = p.task_id)`,
  'the entries of a task have a hole': `SELECT t.id AS what FROM taskflow_tasks t
      LEFT JOIN taskflow_queue q ON q.task_id = t.id LEFT JOIN taskflow_runs r ON r.task_id = t.id
      WHERE t.home = 'cluster' AND coalesce(r.last_seq, q.last_seq, t.last_seq) IS DISTINCT FROM (SELECT sum(e.n) FROM taskflow_events e WHERE e.task_id = t.id)
      OR EXISTS (SELECT FROM (SELECT e.task_id, e.seq - e.n - lag(e.seq, 1, 0::bigint) OVER (ORDER BY e.seq) AS gap
        FROM taskflow_events e WHERE e.task_id = t.id) g WHERE g.gap <> 0)`,
  'a life has two ends': `SELECT task_id AS what FROM (SELECT e.task_id, e.type, sum(CASE WHEN e.type = 'retry' AND e.data LIKE '%"manual"%' THEN 1 ELSE 0 END)
        OVER (PARTITION BY e.task_id ORDER BY e.seq) AS life FROM taskflow_events e) l WHERE type IN ${ENDS} GROUP BY task_id, life HAVING count(*) > 1`,
  'a fence is not the number of starts': `SELECT t.id AS what FROM taskflow_tasks t LEFT JOIN taskflow_queue q ON q.task_id = t.id
      LEFT JOIN taskflow_runs r ON r.task_id = t.id WHERE t.home = 'cluster' AND coalesce(r.fence, q.fence, t.fence) <>
      (SELECT count(*) FROM taskflow_events e WHERE e.task_id = t.id AND e.type = 'start')`,
  'two starts have one fence': `SELECT task_id AS what FROM taskflow_events WHERE type = 'start' GROUP BY task_id, fence HAVING count(*) > 1`,
  'a key has two tasks': `SELECT key_hash AS what FROM taskflow_tasks WHERE key_hash IS NOT NULL GROUP BY 1 HAVING count(*) > 1`,
  'a limit was exceeded at a commit': `SELECT what FROM test_excess`,
};

/** Runs without a member: not forbidden by themselves, as somebody may be about to rescue them. */
export const ownerless = async (client: pg.Client): Promise<string[]> =>
  whats(client, `SELECT r.task_id AS what FROM taskflow_runs r WHERE NOT EXISTS (SELECT FROM taskflow_members m WHERE m.id = r.owner)`);

const whats = async (client: pg.Client, sql: string): Promise<string[]> =>
  (await client.query<{ what: string }>(sql)).rows.map(({ what }) => what);

/** @returns what is wrong, one line each; none: all holds. */
export async function violations(client: pg.Client): Promise<string[]> {
  const found: string[] = [];
  for (const [name, sql] of Object.entries(FORBIDDEN)) found.push(...(await whats(client, sql)).map((what) => `${name}: ${what}`));
  return found;
}

export interface WatchedLimits {
  readonly all: number;
  readonly perUser: number;
  readonly handlers?: Readonly<Record<string, number>>;
}

/** From here on every transaction that starts a run looks, as it commits, at what runs then. */
export async function watchLimits(client: pg.Client, { all, perUser, handlers = {} }: WatchedLimits): Promise<void> {
  const perHandler = Object.entries(handlers)
    .map(
      ([name, limit]) =>
        ` UNION ALL SELECT 'handler ' || name FROM taskflow_runs WHERE name = '${name}' GROUP BY name HAVING count(*) > ${limit}`,
    )
    .join('');
  await client.query(`CREATE FUNCTION test_look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO test_excess SELECT 'all' FROM taskflow_runs HAVING count(*) > ${all}
        UNION ALL SELECT 'user ' || user_key FROM taskflow_runs WHERE user_key <> '-' GROUP BY user_key HAVING count(*) > ${perUser}${perHandler};
      RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER test_look AFTER INSERT ON taskflow_runs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test_look()`);
}

/** Members of the state that a fold of the entries alone does not say: the submit's own, the owner's beat, a mark on a run. */
const BESIDE: readonly (keyof TaskState)[] = [
  'home',
  'input',
  'lastHeartbeatAt',
  'cancelRequest',
  'owner',
  'supersededBy',
  'deadLetteredAt',
];

/** Tasks whose newest state is not the fold of their entries, with the first member that differs. */
export async function unfolded(client: pg.Client, reads: ClusterReads): Promise<string[]> {
  const ids = (await client.query<{ id: string }>(`SELECT id FROM taskflow_tasks WHERE home = 'cluster' ORDER BY id`)).rows.map(
    ({ id }) => id,
  );
  const found: string[] = [];
  for (const [id, state] of await reads.findByIds(ids, true)) {
    let folded: TaskState | null = null;
    for (const entry of await reads.entriesAfter(id, 0, 10_000)) {
      const data = entry.body === '' ? {} : (JSON.parse(entry.body) as Record<string, unknown>);
      folded = fold(folded, { ...entry, taskId: taskId(id), owner: state.owner, data }, state.home);
    }
    const members = Object.keys(Object.assign({}, state)) as (keyof TaskState)[];
    const wrong = members.find((member) => !BESIDE.includes(member) && JSON.stringify(state[member]) !== JSON.stringify(folded?.[member]));
    if (wrong !== undefined) found.push(`${id}: ${wrong} is ${JSON.stringify(state[wrong])}, folded ${JSON.stringify(folded?.[wrong])}`);
  }
  return found;
}
