import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LogFileSystem } from '../../../lib/contracts/log-file-system.interface.js';
import { LogCursorFile } from '../../../lib/engines/local/wal/cursor-file.js';
import { frameCrc } from '../../../lib/engines/local/wal/frame.codec.js';
import { LogFolder } from '../../../lib/engines/local/wal/log-folder.js';
import { repair } from '../../../lib/engines/local/cli/repair.command.js';
import { readArguments } from '../../../lib/cli/arguments.js';
import { LogRepair } from '../../../lib/engines/local/wal/repair/log-repair.js';
import { type LogSurvey, surveyLog } from '../../../lib/engines/local/wal/repair/log-survey.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { FakeIdSource } from '../../support/clock/fake-clock.js';
import { dyingAt } from '../../support/disk/dying-disk.js';
import { scaled } from '../../support/oracle/fault-scale.js';
import { logFixture, scanned, temporaryFolder } from '../../support/disk/event-log-fixture.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures/log-v1', import.meta.url));
const DAMAGED = [
  'flipped-byte',
  'flipped-byte-in-last',
  'flipped-header',
  'cut-off',
  'missing-segment',
  'renamed',
  'foreign-log-id',
  'bad-seal',
  'bad-chain',
  'bytes-after-seal',
  'cut-off-header',
  'there-twice',
  'overlap',
  'other-predecessor',
  'older-generation',
  'frame-of-other-generation',
  'frame-skips',
  'frame-holds-more',
  'frame-holds-less',
];
/** Told by a later release: only that one can read them. */
const NEWER = ['newer-version', 'unknown-entry'];
const LOG_ID = '01890000-0000-7000-8000-0000000000aa';

let folder: { path: string; remove: () => Promise<void> };
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const logIn = (path: string, fs: LogFileSystem = new NodeFileSystem()): LogFolder => new LogFolder(fs, join(path, 'events.log'));

async function repairIn(path: string, fs: LogFileSystem = new NodeFileSystem()): Promise<(readonly [number, number])[] | null> {
  const log = logIn(path, fs);
  const survey = await surveyLog(fs, log);
  if (survey.faults.every(({ kind }) => kind === 'torn')) return null;
  const { plan } = await new LogRepair(fs, log, survey, 0).apply(async () => undefined);
  return [...plan.lost];
}
interface Report {
  readonly refusal?: string;
  readonly lost?: readonly (readonly [number, number])[];
  readonly copies?: readonly string[];
}
async function repaired(
  path: string,
  fs: LogFileSystem = new NodeFileSystem(),
): Promise<{ exitCode: number; report: Report; lines: readonly string[] }> {
  const args = readArguments(['log', 'repair', path, '--yes'])!;
  return repair({ args, fs, clock: new SystemClock(), ids: new FakeIdSource(1), write: async () => undefined });
}
const survey = (path: string): Promise<LogSurvey> => surveyLog(new NodeFileSystem(), logIn(path));

async function seqsIn(path: string): Promise<number[]> {
  const seqs: number[] = [];
  const fs = new NodeFileSystem();
  await surveyLog(fs, logIn(path), ({ firstSeq, count }) => {
    for (let i = 0; i < count; i++) seqs.push(firstSeq + i);
  });
  return seqs;
}
async function filesIn(path: string): Promise<Record<string, string>> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.log')).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(path, name), 'base64')])));
}

describe('A repair', () => {
  it.each(DAMAGED)('keeps every proven entry, and only an unproven one is lost: %s', async (name) => {
    const path = join(folder.path, 'log');
    await cp(join(FIXTURES, name), path, { recursive: true });
    const proven = await seqsIn(path);
    const lost = await repairIn(path);
    for (const [from, to] of lost!) for (let seq = from; seq <= to; seq++) expect(proven).not.toContain(seq);
    const { log, open } = logFixture(join(path, 'events.log'));
    expect((await open()).lastSeq).toBe(proven.at(-1));
    const entries = (await scanned(log)).flatMap((frame) => frame.entries);
    expect(entries.map(({ seq }) => seq)).toEqual(proven);
    await log.close();
  });

  it.each(DAMAGED)('that dies at any change of the disk is ended by the next one, with the same bytes: %s', async (name) => {
    const whole = join(folder.path, 'whole');
    await cp(join(FIXTURES, name), whole, { recursive: true });
    const proven = await seqsIn(whole);
    await repairIn(whole);
    const wanted = await filesIn(whole);
    let died = 0;
    for (let n = 1; ; n++) {
      const path = join(folder.path, String(n));
      await cp(join(FIXTURES, name), path, { recursive: true });
      const disk = dyingAt(n);
      const outcome = await repairIn(path, disk.fs).catch((error: unknown) => error);
      if (!(outcome instanceof Error)) {
        expect(disk.changes()).toBeLessThan(n);
        break;
      }
      expect(disk.changes()).toBeGreaterThanOrEqual(n);
      died++;
      expect(await seqsIn(path)).toEqual(proven);
      await repairIn(path);
      expect(await filesIn(path)).toEqual(wanted);
    }
    expect(died).toBeGreaterThan(8);
  });

  // Before the damage, in what is lost, behind it.
  it.each([5, 6, 16])('that dies at any change is ended by the next one, the position of the database with it: entry %i', async (seq) => {
    const marks = new Map<number, { gen: number; crc: string }>();
    await surveyLog(new NodeFileSystem(), logIn(join(FIXTURES, 'clean')), ({ gen, firstSeq, count, crc }) => {
      marks.set(firstSeq + count - 1, { gen, crc });
    });
    const { gen, crc } = marks.get(seq) ?? { gen: 1, crc: '11111111' };
    const positions = new Set<number>();
    for (let n = 1; ; n += scaled(5, 1)) {
      const path = join(folder.path, String(n));
      await cp(join(FIXTURES, 'flipped-byte'), path, { recursive: true });
      const cursor = new LogCursorFile(new NodeFileSystem(), join(path, 'events.log'));
      await cursor.write({ logId: LOG_ID, gen, appliedSeq: seq, appliedCrc: crc, ownerGen: 1 });
      const disk = dyingAt(n);
      const isDead = await repaired(path, disk.fs).then(
        () => false,
        () => true,
      );
      if (isDead) expect((await repaired(path)).exitCode).toBe(0);
      const { appliedSeq, appliedCrc } = (await cursor.read())!;
      const { log, open } = logFixture(join(path, 'events.log'));
      await open();
      expect(await log.frameCrc(appliedSeq)).toMatchObject({ crc: appliedCrc });
      await log.close();
      positions.add(appliedSeq);
      if (!isDead) break;
    }
    expect([...positions]).toEqual([seq === 6 ? 5 : seq]);
  });

  it('of any fixture leaves a log that opens with all entries but those it calls lost, or says what to do and changes nothing', async () => {
    const names = (await readdir(FIXTURES, { withFileTypes: true })).filter((each) => each.isDirectory()).map(({ name }) => name);
    const refused: string[] = [];
    for (const name of names) {
      const path = join(folder.path, name);
      await cp(join(FIXTURES, name), path, { recursive: true });
      const cursor = { logId: LOG_ID, gen: 0, appliedSeq: 0, appliedCrc: '00000000' };
      await writeFile(join(path, 'flush-cursor.json'), JSON.stringify(cursor));
      const before = await filesIn(path);
      const whole = await survey(path);
      const { exitCode, report, lines } = await repaired(path);
      if (report.refusal !== undefined) {
        refused.push(name);
        expect({ name, exitCode, said: lines.at(-1) }).toEqual({ name, exitCode: 1, said: expect.stringContaining('install it') });
        expect(await filesIn(path)).toEqual(before);
        continue;
      }
      expect({ name, exitCode }).toEqual({ name, exitCode: 0 });
      const { log, open } = logFixture(join(path, 'events.log'));
      const { lastSeq } = await open();
      const kept = (await scanned(log, whole.firstSeq)).flatMap(({ entries }) => entries.map(({ seq }) => seq));
      await log.close();
      const lost = (report.lost ?? []).flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
      const holes = name === 'gap' ? [5] : lost;
      const all = Array.from({ length: lastSeq - whole.firstSeq + 1 }, (_, i) => whole.firstSeq + i);
      expect({ name, kept }).toEqual({ name, kept: all.filter((seq) => !holes.includes(seq)) });
      // Where the bytes were that nothing of is kept: all of each fault, in the copy that was set aside.
      for (const { file, offset, bytes, kind } of whole.faults.filter((fault) => fault.kind !== 'torn'))
        expect({ kind, lines }).toEqual({
          kind: 'damage',
          lines: expect.arrayContaining([expect.stringContaining(`${file}, byte ${offset}, ${bytes} bytes: `)]),
        });
      expect(report.copies?.length ?? 0).toBe(new Set(whole.faults.filter(({ kind }) => kind !== 'torn').map(({ file }) => file)).size);
    }
    expect(refused.sort()).toEqual([...NEWER].sort());
  });

  it('of a last frame that holds another number of entries than it says loses them all, and gives none of their numbers again', async () => {
    await cp(join(FIXTURES, 'unsealed'), folder.path, { recursive: true });
    const file = join(folder.path, 'events-0000000000000014.log');
    const bytes = await readFile(file);
    const at = bytes.indexOf('#B 1 16 1 ');
    const line = bytes.toString('latin1', at, bytes.indexOf(10, at));
    const body = bytes.subarray(at + line.length + 1);
    const prefix = line.slice(0, -8).replace('#B 1 16 1 ', '#B 1 16 3 ');
    const salt = Number.parseInt(bytes.toString('latin1', 0, bytes.indexOf(10)).slice(-8), 16);
    await writeFile(file, Buffer.concat([bytes.subarray(0, at), Buffer.from(`${prefix}${frameCrc(prefix, body, salt)}\n`), body]));
    expect(await repairIn(folder.path)).toEqual([[16, 18]]);
    const { log, open } = logFixture(join(folder.path, 'events.log'));
    expect((await open()).lastSeq).toBe(18);
    expect((await scanned(log)).at(-1)!.lastSeq).toBe(15);
    await log.close();
  });
});
