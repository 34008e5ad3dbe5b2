import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EventLogLockedError, type TaskflowOptionsInput } from 'nestjs-taskflow';
import { ChildApp } from '../../support/process/child-app.js';
import { scaled } from '../../support/oracle/fault-scale.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

const CLUSTER = fileURLToPath(new URL('./cluster-app.mjs', import.meta.url));
const HARMFUL = new URL('./harmful-tasks.mjs', import.meta.url);
const ROUNDS = scaled(6, 50);
const CONTENDERS = 4;
/** Its own processes, its own /proc; killed with the process that made it. */
const NAMESPACE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
const canUnshare = spawnSync(NAMESPACE[0]!, [...NAMESPACE.slice(1), 'true']).status === 0;

interface Round {
  readonly round: number;
  readonly answers: readonly { readonly pid: number; readonly error?: { readonly name: string; readonly message: string } }[];
  readonly proofs: readonly { readonly value: unknown }[];
}

let folder: TestFolder;
let apps: ChildApp[];
let clusters: ChildProcess[];

beforeEach(async () => {
  folder = await TestFolder.create();
  apps = [];
  clusters = [];
});
afterEach(async () => {
  for (const app of apps) await app.kill();
  for (const cluster of clusters) cluster.kill('SIGKILL'); // its workers go with it
  await folder.dispose();
});

function spawnApp(more: TaskflowOptionsInput = {}, wrapper: readonly string[] = []): ChildApp {
  const app = ChildApp.spawnWith(folder.options({ ...more, hooks: undefined }), HARMFUL, wrapper);
  apps.push(app);
  return app;
}
const double = async (app: ChildApp, n: number): Promise<unknown> => {
  const { id } = await app.ask('submit', { name: 'old-import', params: { input: { n } } });
  return (await app.ask('result', { ref: { taskId: id } }))['result'];
};
/** What a process that comes second is told, and that it ended for it. */
async function refusal(app: ChildApp): Promise<string> {
  await expect(app.ready()).rejects.toThrow('The child ended (1)');
  // What a process said last may be heard after its end.
  return eventually(
    () => app.stderr,
    (text) => text.includes('EventLogLockedError'),
  );
}

describe('workers of a cluster that want one log at the same moment', () => {
  it(`leave exactly one winner in each of ${ROUNDS} rounds, and tell the others who it is`, async () => {
    const cluster = spawn(process.execPath, [CLUSTER, folder.path, String(ROUNDS)], { stdio: ['ignore', 'pipe', 'inherit'] });
    clusters.push(cluster);
    const exited = once(cluster, 'exit');
    const rounds: Round[] = [];
    for await (const line of createInterface({ input: cluster.stdout })) rounds.push(JSON.parse(line) as Round);
    expect(await exited).toEqual([0, null]);
    expect(rounds.map(({ round }) => round)).toEqual(Array.from({ length: ROUNDS }, (_, at) => at + 1));
    for (const { round, answers, proofs } of rounds) {
      const winners = answers.filter(({ error }) => error === undefined);
      expect({ round, winners: winners.length }).toEqual({ round, winners: 1 });
      expect(proofs.map(({ value }) => value)).toEqual([round * 2]);
      const losers = answers.flatMap(({ error }) => error ?? []);
      expect(losers.map(({ name }) => name)).toEqual(Array(CONTENDERS - 1).fill('EventLogLockedError'));
      for (const { message } of losers) {
        expect(message).toContain(`process ${winners[0]!.pid} (`);
        expect(message).toContain(folder.path);
      }
    }
    // Not always the same one: they did race.
    expect(
      new Set(rounds.flatMap(({ answers }) => answers.filter(({ error }) => error === undefined).map(({ pid }) => pid))).size,
    ).toBeGreaterThan(1);
  });
});

describe('a stopped holder', () => {
  it('holds its log all the same, goes on when it is continued, and frees it when it is killed', async () => {
    const holder = await spawnApp().ready();
    const { id } = await holder.ask('submit', { name: 'hang', params: { input: null } });
    process.kill(holder.pid, 'SIGSTOP');
    for (let attempt = 0; attempt < 3; attempt++) {
      const other = await folder.system({ eventLog: { lockTimeoutMs: 300 } });
      const error: unknown = await other.initialize().catch((reason: unknown) => reason);
      expect(EventLogLockedError.is(error)).toBe(true);
      expect((error as Error).message).toContain('a process that does not answer');
    }
    process.kill(holder.pid, 'SIGCONT');
    expect(await double(holder, 21)).toBe(42);
    process.kill(holder.pid, 'SIGSTOP');
    await holder.kill();
    const next = await spawnApp().ready();
    expect((await next.ask('status', { ref: { taskId: id } }))['task']).toMatchObject({ recoveries: 1 });
  });
});

(canUnshare ? describe : describe.skip)('two PID namespaces on one folder (skipped where unshare is not permitted)', () => {
  it('have one writer between them, though both call themselves process 1', async () => {
    const holder = await spawnApp({}, NAMESPACE).ready();
    expect(holder.said).toContainEqual({ ready: 1 });
    expect(await refusal(spawnApp({}, NAMESPACE))).toContain('process 1 (');
    expect(await refusal(spawnApp())).toContain('EventLogLockedError');
    expect(await double(holder, 4)).toBe(8);
    await holder.kill();
    const next = await spawnApp({ eventLog: { lockTimeoutMs: 5_000 } }, NAMESPACE).ready();
    expect(await double(next, 5)).toBe(10);
  });
});

describe('a log whose path is longer than a socket address', () => {
  it('has one writer too, whose death frees it', async () => {
    const eventLogPath = folder.file(`${'a-folder-with-a-long-name/'.repeat(6)}events.log`);
    expect(Buffer.byteLength(eventLogPath)).toBeGreaterThan(107);
    await mkdir(dirname(eventLogPath), { recursive: true });
    const eventLog = { eventLogPath };
    const holder = await spawnApp({ eventLog }).ready();
    expect(await refusal(spawnApp({ eventLog: { ...eventLog, lockTimeoutMs: 300 } }))).toContain(`process ${holder.pid} (`);
    expect(await double(holder, 1)).toBe(2);
    await holder.kill();
    expect(await double(await spawnApp({ eventLog }).ready(), 2)).toBe(4);
  });
});
