import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { eventually } from '../../support/clock/patience.js';
import { postgresDatabase, postgresUrl, type TestDatabase } from '../../support/database/test-databases.js';

const describeWithPostgres = postgresUrl() === undefined ? describe.skip : describe;
const NODE = fileURLToPath(new URL('./node-process.mjs', import.meta.url));
const TASKS = 45;
/** Five run on a node at once: when more than ten run, each of the three has some. */
const RUNS_OF_TWO = 10;

let database: TestDatabase | undefined;
const nodes: ChildProcess[] = [];

/** A process, and what it says line by line. */
function startNode(submits?: number): { readonly process: ChildProcess; line(): Promise<string> } {
  const child = spawn(process.execPath, [NODE, JSON.stringify({ repository: database!.options, submits })], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  nodes.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error('The node has ended.');
      if (value === 'ready' || value.startsWith('{')) return value;
    }
  };
  return { process: child, line };
}

afterEach(async () => {
  await Promise.all(
    nodes.splice(0).map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }),
  );
  await database?.drop();
  database = undefined;
});

describeWithPostgres('A node that is killed', () => {
  it('loses nothing that was acknowledged: its tasks run elsewhere under a new fence, and end once, without a gap in any stream', async () => {
    database = await postgresDatabase();
    const victim = startNode();
    expect(await victim.line()).toBe('ready');
    const other = startNode();
    expect(await other.line()).toBe('ready');
    const watcher = startNode(TASKS);
    expect(await watcher.line()).toBe('ready');
    const client = new pg.Client({ ...database.options, user: String(database.options['username']) } as pg.ClientConfig);
    await client.connect();
    const count = async (sql: string): Promise<number> =>
      Number((await client.query<{ n: string }>(`SELECT count(*) AS n ${sql}`)).rows[0]!.n);
    try {
      await eventually(
        () => count('FROM taskflow_runs'),
        (running) => running > RUNS_OF_TWO,
      );
      victim.process.kill('SIGKILL');
      const { fences, whole } = JSON.parse(await watcher.line()) as { fences: number[]; whole: number };
      expect(fences).toHaveLength(TASKS);
      // The fault fired: the killed node had runs, each of which was begun once more.
      const rescued = fences.filter((fence) => fence === 2).length;
      expect(rescued).toBeGreaterThan(0);
      expect(fences.filter((fence) => fence === 1).length).toBe(TASKS - rescued);
      expect(whole).toBe(TASKS);
      expect(await count('FROM taskflow_runs')).toBe(0);
      expect(await count('FROM taskflow_queue')).toBe(0);
      const ends = `FROM (SELECT task_id FROM taskflow_events WHERE type IN ('complete', 'error', 'cancelled') GROUP BY 1 HAVING count(*) = 1) AS once`;
      expect(await count(ends)).toBe(TASKS);
    } finally {
      await client.end();
    }
  });
});
