import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { FaultyLife } from '../../support/disk/faulty-life.js';
import { mountVolume, whyNoVolume } from './small-volume.js';
import { eventually } from '../../support/clock/patience.js';

const MIB = 1024 * 1024;
const DEFAULT_MIN_FREE_BYTES = 512 * MIB;
/** Nothing goes to the database meanwhile, whose files are under the same limit. */
const NO_FLUSH = { flushIntervalMs: 3_600_000, maxBatchSize: 1_000_000 };
const FULL = { name: 'EventLogFullError', code: 'EVENT_LOG_FULL', state: 'full', outcome: 'none' };

const noVolume = whyNoVolume();
const noLimit = spawnSync('prlimit', ['--version']).status === 0 ? undefined : 'there is no prlimit';
const named = (name: string, why: string | undefined): string => (why === undefined ? name : `${name} (SKIPPED: ${why})`);

let life: FaultyLife;
let unmount = (): void => {};
afterEach(async () => {
  await life.kill();
  unmount();
  unmount = () => {};
  await life.dispose();
});

/** Until one is refused. */
async function fill(inputBytes: number): Promise<void> {
  for (let n = 0; n < 2_000 && life.refused.size === 0; n++) await life.submit(2, inputBytes);
  for (const refusal of life.refused.values()) expect(refusal).toMatchObject(FULL);
  expect(life.refused.size).toBeGreaterThan(0);
  expect(life.acknowledged.size).toBeGreaterThan(10);
}
/** As a client does: again, after a while. */
async function submitAgain(inputBytes: number): Promise<void> {
  const before = life.acknowledged.size;
  await eventually(
    async () => {
      await life.submit(1, inputBytes);
      return life.acknowledged.size;
    },
    (size) => size > before,
  );
}
const sizes = (): number[] =>
  readdirSync(life.folder.file('log'))
    .filter((name) => name.endsWith('.log'))
    .map((name) => statSync(life.folder.file(`log/${name}`)).size);

(noVolume === undefined ? describe : describe.skip)(named('A log on a small file system of its own', noVolume), () => {
  it('refuses what does not fit, takes tasks again when there is room, says so when it cannot start, and loses nothing', async () => {
    life = await FaultyLife.create(undefined, { eventLog: { maxSizeBytesPerFile: 10 * MIB }, flush: NO_FLUSH });
    unmount = mountVolume(life.folder.file('log'), '2m');
    const ballast = life.folder.file('log/ballast');
    writeFileSync(ballast, Buffer.alloc(MIB / 2));
    await life.start();
    await fill(8_000);
    expect(await life.state()).toBe('full');
    rmSync(ballast);
    await submitAgain(8_000);
    await eventually(
      () => life.state(),
      (state) => state === 'open',
    );
    life.refused.clear();
    await fill(8_000);
    await life.kill();
    // What is served after a start was written anew first: there must be room for a copy of the last file.
    await expect(life.start()).rejects.toThrow('EVENT_LOG_FULL');
    const home = life.folder.file('log');
    cpSync(home, life.folder.file('copy'), { recursive: true, filter: (path) => !path.includes('.lock.') });
    unmount();
    cpSync(life.folder.file('copy'), home, { recursive: true });
    unmount = () => {};
    await life.verify();
  });

  it('keeps minFreeBytes for what ends a task, and takes new ones when there is more', async () => {
    // The default of minFreeBytes, and a little more than that.
    life = await FaultyLife.create(undefined, { eventLog: { minFreeBytes: DEFAULT_MIN_FREE_BYTES }, flush: NO_FLUSH });
    unmount = mountVolume(life.folder.file('log'), `${DEFAULT_MIN_FREE_BYTES + 4 * MIB}`);
    await life.start();
    const { id } = await life.ask('submit', { name: 'hang', params: { input: 1 } });
    const ballast = life.folder.file('log/ballast');
    writeFileSync(ballast, Buffer.alloc(6 * MIB));
    await eventually(
      () => life.state(),
      (state) => state === 'full',
    );
    await life.submit(3);
    expect([...life.refused.values()]).toMatchObject([FULL, FULL, FULL]);
    expect((await life.ask('cancel', { ref: { taskId: id } }))['task']).toMatchObject({ id });
    rmSync(ballast);
    await submitAgain(4);
    const { task } = await life.ask('status', { ref: { taskId: id } });
    expect(task).toMatchObject({ status: 'cancelled' });
    await life.kill();
    await life.verify();
  });
});

(noLimit === undefined ? describe : describe.skip)(named('A log whose files may not grow beyond a limit', noLimit), () => {
  it('refuses what the limit cuts off, goes on in the next file, and loses nothing', async () => {
    const wrapper = ['prlimit', `--fsize=${MIB}`];
    life = await FaultyLife.create(undefined, { eventLog: { maxSizeBytesPerFile: 10 * MIB }, flush: NO_FLUSH, wrapper });
    await life.start();
    await fill(8_000);
    await submitAgain(8_000);
    for (let n = 0; n < 10; n++) await submitAgain(8_000);
    expect(sizes().length).toBeGreaterThan(1);
    expect(Math.max(...sizes())).toBeGreaterThan(MIB - 20_000);
    await life.kill();
    await life.verify();
  });
});
