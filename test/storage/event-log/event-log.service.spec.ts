import { appendFile, chmod, copyFile, mkdir, readdir, readFile, rename, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { taskId } from '../../../lib/contracts/ids.js';
import { ConfigValidationError } from '../../../lib/errors/config.errors.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { EventLogCorruptError, EventLogError, EventLogFullError } from '../../../lib/errors/storage.errors.js';
import { draft, group, logFixture, scanned, segmentNames, temporaryFolder, type LogFixture } from '../../support/disk/event-log-fixture.js';

describe('EventLogService on a real disk', () => {
  let folder: string;
  let path: string;
  let remove: () => Promise<void>;
  const opened: LogFixture[] = [];
  const open = async (options = {}, at = path): Promise<LogFixture> => {
    const fixture = logFixture(at, options);
    opened.push(fixture);
    await fixture.open();
    return fixture;
  };

  beforeEach(async () => {
    ({ path: folder, remove } = await temporaryFolder());
    path = join(folder, 'log', 'events.log');
  });
  afterEach(async () => {
    for (const fixture of opened.splice(0)) await fixture.log.close();
    await remove();
  });

  it('finds everything that was appended after it is opened again', async () => {
    const first = await open();
    await Promise.all(Array.from({ length: 300 }, (_, i) => first.append(draft({ taskSeq: i + 1, body: `{"payload":"ä${i}\\n"}` }))));
    await first.log.close();
    const second = await open();
    const entries = (await scanned(second.log)).flatMap((frame) => frame.entries);
    expect(entries.map((entry) => entry.seq)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    expect(entries[299]).toMatchObject({
      type: 'progress',
      taskSeq: 300,
      attempt: 1,
      fence: 0,
      data: { payload: 'ä299\n' },
      owner: first.log.owner,
    });
    expect(second.log.durableSeq).toBe(300);
    expect(second.log.gen).toBe(2);
    expect(second.log.logId).toBe(first.log.logId);
  });

  it('gives entries that arrive together one frame and one sync, in order', async () => {
    const { append, log, sink } = await open();
    let syncs = 0;
    log.onSync(() => syncs++);
    const seqs = await Promise.all([append(draft()), append(draft(), draft()), append(draft())]);
    expect(seqs).toEqual([1, 2, 4]);
    expect(sink.frames).toHaveLength(1);
    expect(syncs).toBe(1);
  });

  it('reads an entry by the address it was committed with, also from a rotated file', async () => {
    const { append, log, sink } = await open({ maxSizeBytesPerFile: 700 });
    for (let i = 1; i <= 20; i++) await append(draft({ taskSeq: i, body: `{"payload":"${'x'.repeat(i)}"}` }));
    const addresses = sink.frames.flatMap((frame) =>
      frame.offsets.map((offset, i) => ({ segment: frame.segment, offset, length: frame.lengths[i]! })),
    );
    const entries = await log.readMany([...addresses].reverse());
    expect(entries.map((entry) => entry?.taskSeq)).toEqual(Array.from({ length: 20 }, (_, i) => 20 - i));
    expect(await log.read({ segment: 1, offset: addresses[0]!.offset, length: addresses[0]!.length })).toMatchObject({ seq: 1 });
    await expect(log.read({ segment: 1, offset: addresses[0]!.offset + 1, length: 5 })).rejects.toThrow(EventLogCorruptError);
    expect((await segmentNames(join(folder, 'log'))).length).toBeGreaterThan(5);
  });

  it('writes files that a person can read, for their owner alone', async () => {
    const { append, log } = await open();
    await append(draft({ type: 'created', taskId: taskId('t-1'), body: '' }));
    await log.close();
    const [name] = await segmentNames(join(folder, 'log'));
    const file = join(folder, 'log', name!);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'log'))).mode & 0o777).toBe(0o700);
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect(lines[0]).toMatch(/^#H \{"v":1,"logId":"[^"]+","gen":1,"first":1,"prev":"00000000"\} [0-9a-f]{8}$/);
    expect(lines[1]).toMatch(/^#B 1 1 1 \d+ 00000000 [0-9a-f]{8}$/);
    expect(lines[2]).toMatch(/^\{"s":1,"e":"created","t":"t-1","q":1,"at":\d+,"a":1,"f":0,"o":"1-[0-9a-f]{8}"\}$/);
    expect(lines[3]).toMatch(/^#S 1 1 [0-9a-f]{8} [0-9a-f]{8}$/);
  });

  it("rotates by age, measured from the file's header, and never an empty file", async () => {
    const { append, log, clock } = await open({ maxAgePerFile: 1000 });
    clock.advance(5000);
    await append(draft());
    expect(log.segments).toBe(1);
    clock.advance(5000);
    await append(draft());
    expect(log.segments).toBe(2);
  });

  it('does not pile up files when it is opened again and again without entries', async () => {
    for (let i = 0; i < 3; i++) {
      const { log } = await open();
      await log.close();
    }
    const { log, append } = await open();
    await append(draft());
    expect(log.gen).toBe(4);
    expect(await segmentNames(join(folder, 'log'))).toEqual(['events-0000000000000001.log']);
  });

  it('drops a torn last frame and keeps a copy of it', async () => {
    const first = await open();
    await first.append(draft());
    await first.log.close();
    const file = join(folder, 'log', 'events-0000000000000001.log');
    const whole = await readFile(file, 'utf8');
    const unsealed = whole.slice(0, whole.indexOf('#S '));
    await writeFile(file, `${unsealed}#B 1 2 1 500 00000000 deadbeef\n{"s":2,"e":"prog`);
    const { log } = await open();
    expect(log.durableSeq).toBe(1);
    expect(log.torn.bytes).toBeGreaterThan(20);
    expect(await readFile(log.torn.copy!, 'utf8')).toMatch(/^#B 1 2 1 500.*\n\{"s":2,"e":"prog$/);
    expect(await readFile(file, 'utf8')).toBe(whole);
  });

  it('removes what it left half made itself, and nothing of a log beside it whose name begins alike', async () => {
    await (await open()).log.close();
    const others = [
      'events-b-0000000000000002.log.tmp',
      'eventsb-0000000000000002.log.tmp',
      'events.tmp',
      'events-00000000000000021.log.tmp',
    ];
    const own = ['events-0000000000000009.log.tmp', 'events-0000000000000001.log.120.0badcafe.tmp', 'events-flush-cursor.json.tmp'];
    for (const name of [...others, ...own]) await writeFile(join(folder, 'log', name), 'half');
    await open();
    const left = (await readdir(join(folder, 'log'))).filter((name) => name.endsWith('.tmp'));
    expect(left.sort()).toEqual(others.sort());
  });

  it('has no file whose number could not be one', async () => {
    await (await open()).log.close();
    await writeFile(join(folder, 'log', 'events-9999999999999999.log'), 'not ours');
    const again = await open();
    expect(await again.append(draft())).toBe(1);
  });

  it('takes the time of the wall clock, also when that was set back, but for entries that must not be earlier than others', async () => {
    const { append, log, sink, clock } = await open();
    await append(draft());
    const { at } = sink.frames[0]!;
    clock.jump(-60_000);
    await append(draft({ taskId: taskId('new') }));
    expect(sink.frames[1]!.at).toBe(at - 60_000);
    // In one frame: a task that has entries of before, and one that has not.
    const groups = [
      { ...group(draft()), notBefore: at },
      { ...group(draft({ taskId: taskId('new') })), notBefore: at - 60_000 },
    ];
    for (const each of groups) log.append(each);
    await append(draft());
    const times: number[] = [];
    for await (const frame of log.scan(1)) times.push(...frame.entries.map((entry) => entry.at));
    expect(times).toEqual([at, at - 60_000, at, at - 60_000, at - 60_000]);
  });

  describe('refuses to open', () => {
    const threeFiles = async (): Promise<string[]> => {
      const { append, log } = await open({ maxSizeBytesPerFile: 1 });
      for (let i = 0; i < 3; i++) await append(draft());
      await log.close();
      return (await segmentNames(join(folder, 'log'))).map((name) => join(folder, 'log', name));
    };
    const expectCorrupt = async (file: string): Promise<void> => {
      const error: unknown = await open().catch((reason: unknown) => reason);
      expect(EventLogCorruptError.is(error)).toBe(true);
      expect((error as EventLogCorruptError).file).toBe(file);
    };

    it('when a file in the middle is missing', async () => {
      const files = await threeFiles();
      await unlink(files[1]!);
      await expectCorrupt(files[2]!);
    });
    it('when a file was renamed', async () => {
      const files = await threeFiles();
      await rename(files[1]!, join(folder, 'log', 'events-0000000000000009.log'));
      await expectCorrupt(files[2]!);
    });
    it('when a file is there twice', async () => {
      const files = await threeFiles();
      const copy = join(folder, 'log', 'events-0000000000000004.log');
      await copyFile(files[2]!, copy);
      await expectCorrupt(copy);
    });
    it('when a file belongs to another log', async () => {
      const files = await threeFiles();
      const other = logFixture(join(folder, 'other', 'events.log'), { maxSizeBytesPerFile: 1 }, undefined, undefined, 2);
      opened.push(other);
      other.log['ids'].uuid(); // another log id
      await other.open();
      for (let i = 0; i < 3; i++) await other.append(draft());
      await other.log.close();
      await copyFile(join(folder, 'other', 'events-0000000000000002.log'), files[1]!);
      await expectCorrupt(files[1]!);
    });
    it('when a file is a symbolic link', async () => {
      const files = await threeFiles();
      await rename(files[1]!, join(folder, 'elsewhere'));
      await symlink(join(folder, 'elsewhere'), files[1]!);
      await expectCorrupt(files[1]!);
    });
    it('when bytes follow a seal', async () => {
      const files = await threeFiles();
      await appendFile(files[0]!, '#');
      await expectCorrupt(files[0]!);
    });

    it('a folder that is a file, a link, or cannot be created, naming the option', async () => {
      await writeFile(join(folder, 'file'), '');
      await mkdir(join(folder, 'target'));
      await symlink(join(folder, 'target'), join(folder, 'link'));
      for (const at of ['file/events.log', 'file/below/events.log', 'link/events.log']) {
        const error: unknown = await open({}, join(folder, at)).catch((reason: unknown) => reason);
        expect(ConfigValidationError.is(error)).toBe(true);
        expect((error as ConfigValidationError).issues[0]!.path).toBe('eventLog.eventLogPath');
      }
      if (process.getuid?.() !== 0) {
        await chmod(join(folder, 'target'), 0o500);
        await expect(open({}, join(folder, 'target', 'events.log'))).rejects.toThrow(ConfigValidationError);
      }
    });
  });

  it('refuses a group that no frame can hold before it gets a number', async () => {
    const { append, log } = await open();
    await expect(append(draft({ body: JSON.stringify('x'.repeat(8 * 1024 * 1024)) }))).rejects.toThrow(ValidationError);
    expect(await append(draft({ body: JSON.stringify('x'.repeat(7 * 1024 * 1024)) }))).toBe(1);
    expect(log.state).toBe('open');
  });

  it('never splits a group, and no frame has more than 1,024 entries', async () => {
    const { log, sink } = await open();
    const groups = Array.from({ length: 5 }, () => group(...Array.from({ length: 700 }, () => draft())));
    for (const each of groups) log.append(each);
    await Promise.all(groups.map((each) => each.settled));
    expect(sink.frames.map((frame) => frame.lastSeq - frame.firstSeq + 1)).toEqual([700, 700, 700, 700, 700]);
  });

  it('takes nothing before it is open and nothing after it was closed; closing twice is closing once', async () => {
    const fixture = logFixture(path);
    expect(() => fixture.log.append(group(draft()))).toThrow(EventLogError);
    await fixture.open();
    const halted: string[] = [];
    fixture.log.onHalted((error) => halted.push(error.state));
    const waiting = group(draft());
    fixture.log.append(waiting);
    await Promise.all([fixture.log.close(), fixture.log.close()]);
    expect(await waiting.settled).toEqual({ firstSeq: 1 });
    expect(fixture.log.state).toBe('closed');
    expect(() => fixture.log.append(group(draft()))).toThrow(EventLogError);
    expect(halted).toEqual(['closed']);
    expect(fixture.clock.timers).toBe(0);
  });

  it('refuses new work, and nothing else, beyond maxUnflushedBytes, until the database has caught up', async () => {
    const { append, log, clock } = await open({ maxUnflushedBytes: 600 });
    while (log.state === 'open') await append(draft());
    await expect(append(draft({ type: 'created' }))).rejects.toThrow(EventLogFullError);
    await expect(append(draft({ type: 'custom' }))).rejects.toThrow(EventLogFullError);
    await expect(append(draft({ type: 'heartbeat', taskSeq: undefined }))).rejects.toThrow(EventLogFullError);
    await append(draft({ type: 'complete' }));
    let accepted = 0;
    log.whenAccepting('bulk', () => accepted++);
    log.whenAccepting('lifecycle', () => accepted++);
    await Promise.resolve();
    expect(accepted).toBe(1);
    log.applied(log.durableSeq);
    await clock.run(0);
    expect(accepted).toBe(2);
    expect(log.state).toBe('open');
    expect(log.unflushedBytes).toBe(0);
    await append(draft({ type: 'created' }));
  });

  it('refuses new work below minFreeBytes, and lets a task end all the same', async () => {
    const { append, log } = await open({ minFreeBytes: Number.MAX_SAFE_INTEGER });
    expect(log.state).toBe('full');
    await expect(append(draft({ type: 'created' }), draft({ type: 'start' }))).rejects.toThrow(EventLogFullError);
    await expect(append(draft({ type: 'heartbeat', taskSeq: undefined }))).rejects.toThrow(EventLogFullError);
    expect(await append(draft({ type: 'complete' }))).toBe(1);
  });

  describe('retention', () => {
    const fill = async (retentionCount: number): Promise<LogFixture> => {
      const fixture = await open({ maxSizeBytesPerFile: 1, retentionCount });
      for (let i = 0; i < 8; i++) await fixture.append(draft());
      return fixture;
    };

    it('deletes the oldest of the files that are wholly in the database, and no other', async () => {
      const { log, sink } = await fill(2);
      log.applied(6);
      await log.retain(async () => 6);
      expect((await segmentNames(log.directory)).map((name) => Number(name.slice(7, 23)))).toEqual([5, 6, 7, 8]);
      const gone = sink.frames[0]!;
      expect(await log.read({ segment: gone.segment, offset: gone.offsets[0]!, length: gone.lengths[0]! })).toBeNull();
      expect(await log.frameCrc(6)).toMatchObject({ gen: 1, lastSeq: 6 });
      expect(await log.frameCrc(2)).toBeUndefined();
      expect((await scanned(log)).map((frame) => frame.firstSeq)).toEqual([5, 6, 7, 8]);
    });
    it('keeps the file with the frame at which the database stands', async () => {
      const { log } = await fill(0);
      log.applied(5);
      await log.retain(async () => 5);
      expect((await segmentNames(log.directory)).map((name) => Number(name.slice(7, 23)))).toEqual([5, 6, 7, 8]);
    });
    it('believes the database when it stands further back than it said', async () => {
      const { log } = await fill(0);
      log.applied(8);
      await log.retain(async () => 3);
      expect((await segmentNames(log.directory)).map((name) => Number(name.slice(7, 23)))).toEqual([3, 4, 5, 6, 7, 8]);
      await expect(log.retain(async () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
      expect(log.segments).toBe(6);
    });
    it('opens again after old files were deleted', async () => {
      const first = await fill(1);
      first.log.applied(7);
      await first.log.retain(async () => 7);
      await first.log.close();
      const fixture = logFixture(path);
      opened.push(fixture);
      expect(await fixture.open()).toMatchObject({ firstSeq: 7, lastSeq: 8, created: false });
    });
  });
});
