import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { scaled } from '../../support/oracle/fault-scale.js';
import { TestFolder } from '../../support/process/task-system.js';
import { PATIENCE_MS } from '../../support/clock/patience.js';

const APP = fileURLToPath(new URL('./deaf-app.mjs', import.meta.url));
const SLOTS = 250;
const TASKS = scaled(1_000, 10_000);
/** What may stay of a handler that never ends: nothing of ours. Room for what a heap keeps anyway. Unit: bytes a task. */
const LEFT_BYTES = 1_500;
const NOISE_BYTES = 4 * 1024 * 1024;

let folder: TestFolder;
beforeEach(async () => {
  folder = await TestFolder.create();
});
afterEach(() => folder.dispose());

describe(`${TASKS} handlers that ignore their abort signal`, () => {
  it('are given up and counted one by one, free their slots and memory, and write nothing afterwards', async () => {
    const options = folder.options({
      guard: {
        backpressure: { maxTasksPerWindow: 1_000_000, maxTasksPerUserWindow: 1_000_000, maxQueuedSize: 1_000_000 },
        slots: { maxExecutionGlobal: SLOTS, maxExecutionPerUser: SLOTS },
      },
      shutdown: { forceKillTimeoutMs: 20 },
      stream: { streamRetentionMs: 1_000 },
      flush: { worker: 'process' },
      hooks: undefined,
    });
    const input = JSON.stringify({ options, tasks: TASKS, slots: SLOTS });
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', APP, input], { timeout: PATIENCE_MS });
    const seen = JSON.parse(stdout) as Record<string, any>;
    const called = seen['called'] as number;
    expect(called).toBeGreaterThanOrEqual(TASKS);
    expect(seen['failed']).toBeGreaterThanOrEqual(TASKS);
    expect(seen).toMatchObject({ abandoned: called, lateWrites: called, slotsInUse: 0, running: 0, after: 'done' });
    expect(seen['late']).toEqual({ refused: called, accepted: 0 });
    expect(seen['grownBytes']).toBeLessThan(NOISE_BYTES + TASKS * LEFT_BYTES);
  });
});
