import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LogEntry } from '../../../lib/contracts/log-entry.interface.js';
import { EventLogCorruptError } from '../../../lib/errors/storage.errors.js';
import { LogFolder } from '../../../lib/engines/local/wal/log-folder.js';
import { surveyLog } from '../../../lib/engines/local/wal/repair/log-survey.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';
import { logFixture, scanned, temporaryFolder } from '../../support/disk/event-log-fixture.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures/log-v1', import.meta.url));
const OPENS = ['clean', 'unsealed', 'torn', 'zero-filled-tail', 'retained', 'control', 'utf8', 'gap'];
const REFUSED = [
  'flipped-byte',
  'flipped-byte-in-last',
  'flipped-header',
  'cut-off',
  'missing-segment',
  'renamed',
  'foreign-log-id',
  'newer-version',
  'unknown-entry',
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
/** What is of a later release is told from damage. */
const NEWER = ['newer-version', 'unknown-entry'];

interface Expected {
  readonly opens: LogEntry[];
  readonly tornBytes?: number;
  readonly gap?: [number, number];
  readonly refused: { readonly code: string; readonly file: string; readonly offset: number; readonly reason: string };
}

let folder: { path: string; remove: () => Promise<void> };
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, 'events.log');
});
afterEach(() => folder.remove());

async function copyOf(name: string): Promise<Expected> {
  await cp(join(FIXTURES, name), folder.path, { recursive: true });
  return JSON.parse(await readFile(join(FIXTURES, name, 'expected.json'), 'utf8')) as Expected;
}
const filesNow = async (): Promise<Map<string, string>> => {
  const names = (await readdir(folder.path)).filter((name) => name.endsWith('.log'));
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder.path, name), 'base64')] as const)));
};

describe('A log of format version 1', () => {
  it('has a fixture for everything here, and nothing else', async () => {
    const names = (await readdir(FIXTURES, { withFileTypes: true })).filter((each) => each.isDirectory()).map(({ name }) => name);
    expect(names.sort()).toEqual([...OPENS, ...REFUSED].sort());
  });

  it.each(OPENS)('opens with exactly its entries, twice, and takes new ones behind them: %s', async (name) => {
    const { opens, tornBytes, gap } = await copyOf(name);
    for (let time = 0; time < 2; time++) {
      const { log, open, append } = logFixture(path);
      const opened = await open();
      expect(opened).toMatchObject({
        created: false,
        logId: '01890000-0000-7000-8000-0000000000aa',
        gen: 2 + time,
        lastSeq: opens.at(-1)!.seq + time,
      });
      expect(log.torn.bytes).toBe(time === 0 ? (tornBytes ?? 0) : 0);
      const entries = (await scanned(log, opens[0]!.seq)).flatMap((frame) => frame.entries);
      expect(entries.slice(0, opens.length)).toEqual(opens);
      expect(entries).toHaveLength(opens.length + time);
      if (gap !== undefined) expect(entries.some(({ seq }) => seq >= gap[0] && seq <= gap[1])).toBe(false);
      await append({ type: 'progress', taskId: opens[0]!.taskId, taskSeq: 99, attempt: 1, fence: 1, body: '' });
      await log.close();
    }
  });

  it.each(REFUSED)('is refused, by file and byte, and left as it is: %s', async (name) => {
    const { refused } = await copyOf(name);
    const before = await filesNow();
    const { log, open } = logFixture(path);
    const error = await open().catch((thrown: unknown) => thrown);
    await log.close();
    expect(error).toBeInstanceOf(EventLogCorruptError);
    const { code, file, offset, message } = error as EventLogCorruptError;
    expect({ code, file, offset }).toEqual({ code: refused.code, file: join(folder.path, refused.file), offset: refused.offset });
    expect(message).toContain(refused.reason);
    expect(await filesNow()).toEqual(before);
  });

  it.each([...OPENS, ...REFUSED])('is judged by a survey as by an open, which it outlives: %s', async (name) => {
    const { opens, refused } = await copyOf(name);
    const fs = new NodeFileSystem();
    const seqs: number[] = [];
    const survey = await surveyLog(fs, new LogFolder(fs, path), ({ firstSeq, count }) => {
      for (let i = 0; i < count; i++) seqs.push(firstSeq + i);
    });
    const faults = survey.faults.filter(({ kind }) => kind !== 'torn');
    expect(seqs.length).toBeGreaterThan(0);
    if (refused === undefined) {
      expect(faults).toEqual([]);
      expect(seqs).toEqual(opens.map(({ seq }) => seq));
      return;
    }
    expect(faults[0]).toMatchObject({
      file: join(folder.path, refused.file),
      offset: refused.offset,
      kind: NEWER.includes(name) ? 'newer' : 'damage',
      reason: expect.stringContaining(refused.reason),
    });
  });
});
