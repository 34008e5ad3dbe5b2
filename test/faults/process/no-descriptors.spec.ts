import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EventLogLockedError } from 'nestjs-taskflow';
import { ChildApp } from '../../support/process/child-app.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

const HARMFUL = new URL('./harmful-tasks.mjs', import.meta.url);
/** Enough to load its modules, and soon used up; the shell sets it for the process and all that it starts. */
const FEW_DESCRIPTORS = ['sh', '-c', 'ulimit -n 512 && exec "$@"', 'sh'];
/** A few entries fill a file, so that the log needs a descriptor for the next one. */
const FILE_BYTES = 8_192;
const RETRYABLE = ['EventLogFullError', 'RepositoryError'];

let folder: TestFolder;
let apps: ChildApp[];

beforeEach(async () => {
  folder = await TestFolder.create();
  apps = [];
});
afterEach(async () => {
  for (const app of apps) await app.kill();
  await folder.dispose();
});

async function start(): Promise<ChildApp> {
  const options = folder.options({
    eventLog: { maxSizeBytesPerFile: FILE_BYTES },
    flush: { flushIntervalMs: 50, worker: 'process', circuitBreakerDurationMs: 500 },
    hooks: undefined,
  });
  const app = ChildApp.spawnWith(options, HARMFUL, FEW_DESCRIPTORS);
  apps.push(app);
  return app.ready();
}

describe('a process without a free file descriptor', () => {
  it('refuses submits with an error to retry, or accepts them; loses none, and goes on when it has descriptors again', async () => {
    const app = await start();
    const acknowledged: string[] = [];
    const refusals: string[] = [];
    const submit = async (n: number, more: object = {}): Promise<void> => {
      const params = { input: { n, text: 'x'.repeat(1_500) }, ...more };
      const answer = await app.ask('submit', { name: 'quick', params }).catch((error: Error) => error);
      if (answer instanceof Error) refusals.push(answer.name === 'Error' ? answer.message : answer.name);
      else acknowledged.push(answer['id']);
    };
    await submit(0);
    const running = (await app.ask('submit', { name: 'innocent', params: { input: { ms: 1_000 } } }))['id'];
    const { taken } = await app.ask('exhaust');
    expect(taken).toBeGreaterThan(10);
    // Its flush worker dies, and another one cannot be started.
    await app.ask('killFlushWorker');
    await eventually(
      () => app.ask('stats'),
      (answer) => answer['stats'].flush.workerPid === null,
    );
    await app.ask('exhaust'); // what the dead worker's pipes gave back
    for (let n = 1; n <= 20; n++) await submit(n, n % 4 === 0 ? { idempotencyKey: `key-${n}` } : {});
    expect(refusals.length).toBeGreaterThan(0);
    expect(refusals.filter((name) => !RETRYABLE.includes(name))).toEqual([]);
    // Nor can it answer those who ask for the log; it holds it all the same.
    const other = await folder.system();
    expect(EventLogLockedError.is(await other.initialize().catch((error: unknown) => error))).toBe(true);

    await app.ask('giveBack');
    const before = acknowledged.length;
    await eventually(
      () => submit(100),
      () => acknowledged.length > before,
    );
    for (const taskId of [...acknowledged, running]) await app.ask('result', { ref: { taskId } });
    const { stats } = await eventually(
      () => app.ask('stats'),
      (answer) => answer['stats'].flush.appliedSeq === answer['stats'].eventLog.durableSeq && answer['stats'].status === 'running',
    );
    expect(stats.flush.restarts).toBeGreaterThan(0);
    await app.kill();
    const next = await start();
    for (const taskId of [...acknowledged, running]) {
      expect((await next.ask('status', { ref: { taskId } }))['task']).toMatchObject({ status: 'completed', fence: 1 });
    }
  });
});
