import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigValidationError } from '../../../lib/errors/config.errors.js';
import { EventLogLockedError } from '../../../lib/errors/storage.errors.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';
import { draft, logFixture, temporaryFolder, type LogFixture } from '../../support/disk/event-log-fixture.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';

/** Holds the lock as another process would: the socket, and the words of its holder. */
const HOLDER = `
  const [path, greeting] = process.argv.slice(1);
  require('node:net').createServer((socket) => socket.end(greeting)).listen(path, () => console.log('ready'));
`;

describe('one writer per log', () => {
  let folder: string;
  let remove: () => Promise<void>;
  const opened: LogFixture[] = [];
  const children: ChildProcess[] = [];
  let seed = 1;
  const contender = (path: string, lockTimeoutMs = 0, fs = new NodeFileSystem()): LogFixture => {
    const fixture = logFixture(path, { lockTimeoutMs }, fs, new FakeClock(), seed++);
    opened.push(fixture);
    return fixture;
  };
  const hold = async (path: string, greeting: string): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ['-e', HOLDER, path, greeting], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout!, 'data');
    return child;
  };
  const kill = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    if (signal === 'SIGKILL') await once(child, 'exit');
  };

  beforeEach(async () => ({ path: folder, remove } = await temporaryFolder()));
  afterEach(async () => {
    for (const fixture of opened.splice(0)) await fixture.log.close();
    for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) await kill(child, 'SIGKILL');
    await remove();
  });

  it('refuses the second one, saying who holds the log and where', async () => {
    const path = join(folder, 'events.log');
    const first = contender(path);
    await first.open();
    const error: unknown = await contender(path)
      .open()
      .catch((reason: unknown) => reason);
    expect(EventLogLockedError.is(error)).toBe(true);
    expect((error as EventLogLockedError).message).toContain(folder);
    expect((error as EventLogLockedError).holder).toMatch(new RegExp(`^process ${process.pid} \\(owner [0-9a-f]{8}, since 20\\d\\d-`));
    await first.append(draft());
  });

  it('does not listen for ever to a holder that never stops talking', async () => {
    const path = join(folder, 'events.log');
    const endless =
      "require('node:net').createServer((s) => { s.on('error', () => {}); setInterval(() => s.write('x'.repeat(500)), 20); }).listen(process.argv[1], () => console.log('ready'))";
    const child = spawn(process.execPath, ['-e', endless, join(folder, 'events.lock.1-1')], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout!, 'data');
    await expect(contender(path).open()).rejects.toMatchObject({ holder: 'a process that does not answer' });
  });

  it('waits lockTimeoutMs for the holder to go, and then opens what it left', async () => {
    const path = join(folder, 'events.log');
    const first = contender(path);
    await first.open();
    await first.append(draft());
    const second = contender(path, 1000);
    const opening = second.open();
    while (second.clock.timers === 0) await settle();
    await first.log.close();
    second.clock.advance(100);
    expect(await opening).toMatchObject({ lastSeq: 1, gen: 2 });
  });

  it('is free once its holder was killed, and is not while its holder is stopped', async () => {
    const path = join(folder, 'events.log');
    const child = await hold(join(folder, 'events.lock.1-abc'), JSON.stringify({ pid: 77, owner: 'them', since: 'then' }));
    await expect(contender(path).open()).rejects.toThrow(/process 77 \(owner them, since then\)/);
    await kill(child, 'SIGSTOP');
    await expect(contender(path).open()).rejects.toThrow(/a process that does not answer/);
    await kill(child, 'SIGKILL');
    expect(await readdir(folder)).toContain('events.lock.1-abc');
    expect(await contender(path).open()).toMatchObject({ created: true });
    expect(await readdir(folder)).not.toContain('events.lock.1-abc');
  });

  it('tells after a second who holds the log and how long it waits at most', async () => {
    const path = join(folder, 'events.log');
    await contender(path).open();
    const second = contender(path, 3000);
    const told: unknown[] = [];
    second.log.onLockWait((wait) => told.push(wait));
    const opening = second.open().catch((error: unknown) => error);
    let isOver = false;
    void opening.then(() => (isOver = true));
    let waitedMs = 0;
    let toldAtMs = 0;
    while (!isOver) {
      if (second.clock.timers > 0) {
        second.clock.advance(50);
        waitedMs += 50;
      }
      await settle();
      if (told.length === 1) toldAtMs ||= waitedMs;
    }
    expect(toldAtMs).toBeGreaterThanOrEqual(1000);
    expect(toldAtMs).toBeLessThan(1500);
    expect(EventLogLockedError.is(await opening)).toBe(true);
    expect(told).toEqual([{ directory: folder, holder: expect.stringMatching(new RegExp(`^process ${process.pid} `)), timeoutMs: 3000 }]);
  });

  it('gives up its wait when the start is ended', async () => {
    const path = join(folder, 'events.log');
    await contender(path).open();
    const second = contender(path, 1e9);
    const opening = second.open().catch((error: unknown) => error);
    while (second.clock.timers === 0) await settle();
    second.log.giveUpWaiting();
    second.clock.advance(100);
    expect(await opening).toMatchObject({ name: 'EventLogError', state: 'closed' });
  });

  const lockOf = async (directory: string): Promise<string> => (await readdir(directory)).find((name) => name.includes('.lock.'))!;

  it('acknowledges nothing once its lock was removed, and another one opens all that it had acknowledged', async () => {
    const path = join(folder, 'events.log');
    const first = contender(path);
    await first.open();
    for (let n = 0; n < 3; n++) await first.append(draft());
    const halts: string[] = [];
    first.log.onHalted(({ state, message }) => halts.push(`${state}: ${message}`));
    const lock = await lockOf(folder);
    await unlink(join(folder, lock));
    const second = contender(path);
    expect(await second.open()).toMatchObject({ lastSeq: 3, gen: 2 });
    await expect(first.append(draft())).rejects.toMatchObject({ state: 'failed', outcome: 'unknown' });
    await expect(first.append(draft())).rejects.toMatchObject({ state: 'failed', outcome: 'none' });
    expect(first.log.state).toBe('failed');
    expect(halts).toEqual([expect.stringContaining(`failed: The event log failed`)]);
    expect(halts[0]).toContain(lock);
    expect(await second.append(draft())).toBe(4);
  });

  it('begins no segment once its lock was removed: the name may be that of another process', async () => {
    const path = join(folder, 'events.log');
    const first = logFixture(path, { lockTimeoutMs: 0, maxSizeBytesPerFile: 400 }, new NodeFileSystem(), new FakeClock(), seed++);
    opened.push(first);
    await first.open();
    await first.append(draft());
    await unlink(join(folder, await lockOf(folder)));
    const second = contender(path);
    const { lastSeq } = await second.open();
    const before = await second.append(draft({ body: '{"payload":"second"}' }));
    for (let n = 0; n < 5; n++) await first.append(draft({ body: `{"payload":"${'x'.repeat(200)}"}` })).catch(() => undefined);
    expect(before).toBe(lastSeq + 1);
    await second.log.close();
    const third = contender(path);
    expect(await third.open()).toMatchObject({ lastSeq: before });
  });

  it('notices within seconds that its lock was removed, though nothing is written', async () => {
    const first = contender(join(folder, 'events.log'));
    await first.open();
    await unlink(join(folder, await lockOf(folder)));
    for (let second = 0; second < 6; second++) {
      first.clock.advance(1000);
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    while (first.log.state !== 'failed') await settle();
  });

  it('writes nothing more into a folder that was moved away', async () => {
    const place = join(folder, 'place');
    await mkdir(place);
    const first = contender(join(place, 'events.log'));
    await first.open();
    await rename(place, join(folder, 'elsewhere'));
    await expect(first.append(draft())).rejects.toMatchObject({ state: 'failed' });
  });

  it('names a lock file of another user that may not be asked, and what to do', async () => {
    await writeFile(join(folder, 'events.lock.1-abc'), '');
    const fs = new NodeFileSystem();
    fs.greet = () => Promise.reject(Object.assign(new Error('connect EACCES'), { code: 'EACCES' }));
    const error: unknown = await contender(join(folder, 'events.log'), 0, fs)
      .open()
      .catch((reason: unknown) => reason);
    expect(EventLogLockedError.is(error)).toBe(true);
    for (const text of ['another user', 'EACCES', join(folder, 'events.lock.1-abc'), 'remove that file'])
      expect((error as Error).message).toContain(text);
  });

  it.each(['ENOTSUP', 'EPERM', 'EINVAL', 'EACCES'])('says what a folder lacks that takes no sockets: %s', async (code) => {
    const fs = new NodeFileSystem();
    fs.listen = () => Promise.reject(Object.assign(new Error(`listen ${code}`), { code }));
    const error: unknown = await contender(join(folder, 'events.log'), 0, fs)
      .open()
      .catch((reason: unknown) => reason);
    expect(ConfigValidationError.is(error)).toBe(true);
    for (const text of ['eventLog.eventLogPath', folder, 'Unix socket', code, 'local disk'])
      expect((error as Error).message).toContain(text);
  });

  it('goes to at most one of many that come at once, and to one of them in the end', async () => {
    const path = join(folder, 'events.log');
    for (let round = 0; round < 15; round++) {
      const contenders = Array.from({ length: 6 }, () => contender(path, 1e9));
      let winners = 0;
      const openings = contenders.map((each) =>
        each.open().then(async () => {
          winners++;
          expect(winners).toBe(1);
          await each.append(draft());
          await settle();
          winners--;
          await each.log.close();
        }),
      );
      let isDone = false;
      const all = Promise.all(openings).finally(() => (isDone = true));
      while (!isDone) {
        for (const each of contenders) each.clock.advance(20);
        await settle();
      }
      await all;
    }
    const last = contender(path);
    expect(await last.open()).toMatchObject({ lastSeq: 90, gen: 91 });
    await last.log.close();
    expect((await readdir(folder)).filter((name) => name.includes('lock'))).toEqual([]);
  });

  it('locks inside the log folder also when its path is longer than a socket address', async () => {
    const deep = join(folder, 'd'.repeat(120));
    await mkdir(deep);
    const path = join(deep, 'events.log');
    const first = contender(path);
    await first.open();
    expect((await readdir(deep)).filter((name) => name.startsWith('events.lock.'))).toHaveLength(1);
    await expect(contender(path).open()).rejects.toThrow(EventLogLockedError);
    await first.log.close();
    expect((await readdir(deep)).filter((name) => name.startsWith('events.lock.'))).toEqual([]);
    await contender(path).open();
  });

  it('is refused on a network file system, by name', async () => {
    for (const [type, name] of [
      [0x6969, 'NFS'],
      [0xff534d42, 'CIFS'],
      [0xfe534d42, 'SMB2'],
    ] as const) {
      const fs = new NodeFileSystem();
      fs.statfs = async () => ({ type, freeBytes: 1e12 });
      const error: unknown = await contender(join(folder, 'events.log'), 0, fs)
        .open()
        .catch((reason: unknown) => reason);
      expect(ConfigValidationError.is(error)).toBe(true);
      expect((error as Error).message).toContain(`(${name})`);
    }
  });
});
