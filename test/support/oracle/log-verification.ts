import type { ScannedFrame } from '../../../lib/contracts/event-log.interface.js';
import { draft, logFixture, scanned, type LogFixture } from '../disk/event-log-fixture.js';
import { FakeClock } from '../clock/fake-clock.js';
import { LOG_PATH, type Ledger } from '../disk/log-workload.js';
import { parseSegment } from './segment-parser.js';
import type { SimulatedDisk } from '../disk/simulated-disk.js';

const SMALL = { maxSizeBytesPerFile: 900, retentionCount: 1 };
const violated = (what: string): never => {
  throw new Error(what);
};
const payloadOf = (data: object): number => (data as { payload: number }).payload;

/** Opens what is left and compares it with what was promised. Returns the payloads found. */
export async function verifyAgainst(disk: SimulatedDisk, ledger: Ledger): Promise<number[]> {
  for (const violation of ledger.violations) violated(violation);
  const proven = provenOn(disk);
  const first = await openedLog(disk, 9);
  const found = payloadsOf(first.frames, first.opened);
  for (const [payload, seq] of proven) if (found.get(payload) !== seq) violated(`entry ${seq} was valid on disk, and recovery dropped it`);
  kept(ledger.acknowledged, 'acknowledged', found, first.opened.firstSeq, ledger.applied);
  kept(ledger.shown, 'shown', found, first.opened.firstSeq, ledger.applied);
  for (const payload of ledger.refused) if (found.has(payload)) violated(`refused payload ${payload} is there`);
  if (ledger.appliedCrc !== undefined && (await first.fixture.log.frameCrc(ledger.applied))?.crc !== ledger.appliedCrc)
    violated('the frame of the cursor is gone');
  await first.fixture.log.close();

  const second = await openedLog(disk, 10);
  if (JSON.stringify(second.frames) !== JSON.stringify(first.frames)) violated('a second recovery finds something else');
  const seq = await second.fixture.append(draft({ body: '{"payload":-1}' }));
  if (seq !== first.opened.lastSeq + 1) violated(`entry ${first.opened.lastSeq + 1} is next, but ${seq} was given`);
  await second.fixture.log.close();
  return [...found.keys()].filter((payload) => payload > 0);
}

/** What can be proven to be on the disk before anything opens it, by a reader that shares no code with the log. */
function provenOn(disk: SimulatedDisk): Map<number, number> {
  const segments = disk.paths().filter((path) => /\/events-\d{16}\.log$/.test(path));
  return new Map(segments.flatMap((path) => parseSegment(disk.content(path)).map(({ seq, payload }) => [payload, seq] as const)));
}

interface Opened {
  readonly fixture: LogFixture;
  readonly opened: { readonly firstSeq: number; readonly lastSeq: number };
  readonly frames: readonly ScannedFrame[];
}

async function openedLog(disk: SimulatedDisk, seed: number): Promise<Opened> {
  const fixture = logFixture(LOG_PATH, SMALL, disk, new FakeClock(), seed);
  const opened = await fixture.open();
  return { fixture, opened, frames: await scanned(fixture.log) };
}

/** Payload -> sequence; every number from the first to the last one is there, once. */
function payloadsOf(frames: readonly ScannedFrame[], { firstSeq, lastSeq }: Opened['opened']): Map<number, number> {
  const entries = frames.flatMap((frame) => frame.entries);
  entries.forEach(({ seq }, i) => {
    if (seq !== firstSeq + i) violated(`entry ${seq} where ${firstSeq + i} is expected`);
  });
  if (firstSeq + entries.length - 1 !== lastSeq) violated(`${entries.length} entries from ${firstSeq} on, but the last one is ${lastSeq}`);
  const found = new Map(entries.map(({ data, seq }) => [payloadOf(data), seq]));
  const own = entries.filter(({ data }) => payloadOf(data) > 0).length;
  if ([...found.keys()].filter((payload) => payload > 0).length !== own) violated('an entry is there twice');
  return found;
}

function kept(
  promised: ReadonlyMap<number, number>,
  how: string,
  found: ReadonlyMap<number, number>,
  firstSeq: number,
  applied: number,
): void {
  for (const [payload, seq] of promised) {
    const isDeleted = seq < firstSeq && seq < applied;
    if (found.get(payload) !== seq && !isDeleted) violated(`${how} entry ${seq} (payload ${payload}) is ${found.get(payload) ?? 'gone'}`);
  }
}
