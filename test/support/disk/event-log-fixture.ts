import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventLogOptions } from '../../../lib/config/event-log.options.js';
import type { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { CommittedFrame, FrameSink, LogDraft, LogGroup, OpenedLog, ScannedFrame } from '../../../lib/contracts/event-log.interface.js';
import type { LogFileSystem } from '../../../lib/contracts/log-file-system.interface.js';
import { taskId } from '../../../lib/contracts/ids.js';
import type { EventLogError } from '../../../lib/errors/storage.errors.js';
import { EventLogService } from '../../../lib/engines/local/wal/event-log.service.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';
import { FakeClock, FakeIdSource } from '../clock/fake-clock.js';

/** A group with a promise: what became of it. */
export interface TrackedGroup extends LogGroup {
  readonly settled: Promise<{ firstSeq: number } | { error: EventLogError }>;
  readonly settle: (outcome: { firstSeq: number } | { error: EventLogError }) => void;
}

export function group(...drafts: LogDraft[]): TrackedGroup {
  let settle!: TrackedGroup['settle'];
  const settled = new Promise<{ firstSeq: number } | { error: EventLogError }>((resolve) => (settle = resolve));
  return { drafts, settled, settle };
}

export const draft = (over: Partial<LogDraft> = {}): LogDraft => ({
  type: 'progress',
  taskId: taskId('01890000-0000-7000-8000-000000000001'),
  taskSeq: 1,
  attempt: 1,
  fence: 0,
  body: '{"payload":1}',
  ...over,
});

/** Settles groups as the log tells, and keeps the frames. */
export class TrackingSink implements FrameSink<TrackedGroup> {
  readonly frames: CommittedFrame<TrackedGroup>[] = [];
  committed(frame: CommittedFrame<TrackedGroup>): void {
    this.frames.push(frame);
    let firstSeq = frame.firstSeq;
    for (const each of frame.groups) {
      each.settle({ firstSeq });
      firstSeq += each.drafts.length;
    }
  }
  refused(groups: readonly TrackedGroup[], error: EventLogError): void {
    for (const each of groups) each.settle({ error });
  }
}

export interface LogFixture {
  readonly log: EventLogService;
  readonly clock: FakeClock;
  readonly sink: TrackingSink;
  open(): Promise<OpenedLog>;
  /** Appends and waits. @throws what the log refused it with. */
  append(...drafts: LogDraft[]): Promise<number>;
}

export function logFixture(
  eventLogPath: string,
  options: Partial<EventLogOptions> = {},
  fs: LogFileSystem = new NodeFileSystem(),
  clock = new FakeClock(),
  seed = 1,
): LogFixture {
  const eventLog = Object.assign(new EventLogOptions(), { minFreeBytes: 0, lockTimeoutMs: 0, ...options, eventLogPath });
  const log = new EventLogService({ eventLog } as unknown as TaskflowOptions, clock, new FakeIdSource(seed), fs);
  const sink = new TrackingSink();
  return {
    log,
    clock,
    sink,
    open: () => log.open(sink),
    append: async (...drafts) => {
      const appended = group(...drafts);
      log.append(appended);
      const outcome = await appended.settled;
      if ('error' in outcome) throw outcome.error;
      return outcome.firstSeq;
    },
  };
}

/** A folder of its own for a test; remove it when done. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'taskflow-log-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export const segmentNames = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => /^events-\d{16}\.log$/.test(name)).sort();

export async function scanned(log: EventLogService, fromSeq = 1): Promise<ScannedFrame[]> {
  const frames: ScannedFrame[] = [];
  for await (const frame of log.scan(fromSeq)) frames.push(frame);
  return frames;
}
