import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isFull } from '../../support/oracle/fault-scale.js';
import { tally } from '../../support/oracle/fault-tally.js';
import { buildFailingDisk, whyNoFailingDisk } from '../../support/disk/failing-disk.js';
import { FaultyLife } from '../../support/disk/faulty-life.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

const reason = whyNoFailingDisk();
const suite = reason === undefined ? describe : describe.skip;
const skipped = reason === undefined ? '' : ` (SKIPPED: ${reason})`;

/** In CI a few of a list, from all over it. */
const some = (rules: readonly string[]): readonly string[] => (isFull ? rules : rules.filter((_, i) => i % 7 === 3));
const each = (head: string, ns: readonly number[], hows: readonly string[], times = 1): string[] =>
  ns.flatMap((n) => hows.map((how) => `${head} ${n} ${how} ${times}`));

const FAILS = [
  ...each('write segment', [1, 2, 5], ['EIO', 'zero']),
  ...each('write segment', [3], ['EROFS']),
  ...each('fdatasync segment', [1, 2, 5], ['EIO']),
  ...each('fdatasync segment', [2], ['ENOSPC', 'EDQUOT']),
  ...each('fdatasync segment', [3], ['EIO'], 0),
  ...each('write segment', [2], ['ENOSPC', 'short']).flatMap((first) => [
    `${first}\nftruncate segment 1 EIO 1`,
    `${first}\nfsync segment 1 EIO 1`,
  ]),
  ...each('create next', [1], ['EIO', 'EROFS']),
  ...each('write next', [1], ['EIO', 'zero']),
  ...each('fsync next', [1, 2], ['EIO']),
  ...each('fsync next', [1], ['ENOSPC']),
  ...each('rename next', [1, 2], ['EIO']),
  ...each('rename next', [1], ['ENOSPC']),
  ...each('fsync folder', [1, 2], ['EIO']),
];
const FULL = [
  ...each('write segment', [1, 2, 5], ['ENOSPC', 'short']),
  ...each('write segment', [3], ['EDQUOT', 'EFBIG']),
  ...each('create next', [1], ['ENOSPC', 'EMFILE']),
  ...each('write next', [1], ['ENOSPC', 'short']),
];
const UNNOTICED = [
  ...each('write segment', [1, 3], ['EINTR', 'partial']),
  ...each('fdatasync segment', [1], ['EINTR']),
  ...each('rename next', [1], ['EINTR']),
  ...each('write next', [1], ['partial']),
];
const NO_START = [
  ...each('read segment', [1], ['EIO', 'EMFILE']),
  ...each('create next', [1, 2], ['EIO']),
  ...each('create next', [2], ['ENOSPC']),
  ...each('write next', [1, 2, 3], ['EIO', 'ENOSPC']),
  ...each('write next', [1], ['short', 'zero']),
  ...each('fsync next', [1, 2], ['EIO']),
  ...each('rename next', [1, 2], ['EIO']),
  ...each('fsync folder', [1, 2], ['EIO']),
];
const CHANGES = new Set(['write', 'fdatasync', 'fsync', 'ftruncate', 'rename', 'create']);

suite(`The package on a disk whose calls fail, through libuv${skipped}`, () => {
  let tools: TestFolder;
  let library: string;
  let runs = 0;
  beforeAll(async () => {
    tools = await TestFolder.create();
    library = buildFailingDisk(tools.path);
  });
  afterAll(async () => {
    process.stdout.write(`libuv: ${runs} runs, in each of which the disk failed\n`);
    tally('faults', runs);
    await tools.dispose();
  });

  it('is at least 60 runs at full size', () => {
    expect([FAILS, FULL, UNNOTICED, NO_START].flat().length).toBeGreaterThanOrEqual(60);
  });

  const inLife = async (use: (life: FaultyLife) => Promise<void>, created = FaultyLife.create(library)): Promise<void> => {
    const life = await created;
    try {
      await use(life);
      runs++;
    } finally {
      await life.dispose();
    }
  };
  /** Submits until every rule fired, and some more. */
  const meet = async (life: FaultyLife, rules: readonly string[]): Promise<void> => {
    await life.start();
    await life.submit();
    life.disk.order(...rules);
    for (let wave = 0; wave < 40 && life.faults.length < rules.length; wave++) await life.submit(1 + (wave % 3));
    expect(life.faults.length).toBeGreaterThanOrEqual(rules.length);
    await life.submit();
  };

  it.each(some(FAILS))('fails for good, says so, touches nothing after that, and loses nothing: %s', async (text) => {
    await inLife(async (life) => {
      await meet(life, text.split('\n'));
      expect(await life.state()).toBe('failed');
      const refusals = [...life.refused.values()];
      expect(refusals.at(-1)).toMatchObject({ name: 'EventLogError', code: 'EVENT_LOG', state: 'failed', outcome: 'none' });
      for (const refusal of refusals) expect(refusal).toMatchObject({ name: 'EventLogError', code: 'EVENT_LOG', state: 'failed' });
      await life.shutdown();
      const { calls } = life.disk;
      const end = calls.findLastIndex(({ isFault }) => isFault);
      expect(calls.slice(end + 1).filter(({ operation }) => CHANGES.has(operation))).toEqual([]);
      await life.kill();
      await life.verify();
    });
  });

  it.each(some(FULL))('is full, says so, takes tasks again when there is room, and loses nothing: %s', async (rule) => {
    await inLife(async (life) => {
      await meet(life, [rule]);
      expect(life.refused.size).toBeGreaterThan(0);
      for (const refusal of life.refused.values())
        expect(refusal).toMatchObject({ name: 'EventLogFullError', code: 'EVENT_LOG_FULL', state: 'full', outcome: 'none' });
      await eventually(
        () => life.state(),
        (state) => state === 'open',
      );
      const before = life.acknowledged.size;
      await life.submit(3);
      expect(life.acknowledged.size).toBe(before + 3);
      await life.kill();
      await life.verify();
    });
  });

  it.each(some(UNNOTICED))('goes on as if nothing had happened: %s', async (rule) => {
    await inLife(async (life) => {
      await meet(life, [rule]);
      expect(life.refused.size).toBe(0);
      expect(await life.state()).toBe('open');
      await life.kill();
      await life.verify();
    });
  });

  describe('when it starts', () => {
    let killed: FaultyLife;
    beforeAll(async () => {
      killed = await FaultyLife.create(library);
      await killed.start();
      for (let wave = 0; wave < 4; wave++) await killed.submit();
      await killed.kill();
    });
    afterAll(() => killed.dispose());

    it.each(some(NO_START))('says why it does not, and starts with everything on a sound disk: %s', async (rule) => {
      await inLife(async (life) => {
        life.disk.order(rule);
        const said = await life.start().then(
          () => 'it started',
          (error: unknown) => String(error),
        );
        expect(life.faults.length).toBeGreaterThan(0);
        const isNoRoom = / (ENOSPC|short|EMFILE) /.test(rule);
        expect(said).toContain(isNoRoom ? 'EVENT_LOG_FULL' : "code: 'EVENT_LOG'");
        life.disk.order();
        await life.verify();
      }, killed.copy(library));
    });
  });
});
