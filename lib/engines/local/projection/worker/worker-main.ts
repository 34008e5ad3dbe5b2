import { constants, setPriority } from 'node:os';
import { LogFolder } from '../../wal/log-folder.js';
import { NodeFileSystem } from '../../wal/node-file-system.js';
import { SegmentTail } from '../../wal/segment-tail.js';
import { SystemIdSource } from '../../../../primitives/id-source.js';
import { InterruptibleLoop } from '../../../../primitives/interruptible-loop.js';
import { SystemClock } from '../../../../primitives/system-clock.js';
import { createProjector } from '../../storage/repository.factory.js';
import { noticesTo } from '../flush-notice.js';
import type { ParentMessage, WorkerConfig, WorkerMessage } from './worker-protocol.js';
import { ALIVE_INTERVAL_MS } from './worker-protocol.js';
import { WorkerSession } from './worker-session.js';
import { failpoint } from '../../../../primitives/failpoint.js';

/** @returns what takes the parent's messages, in order. */
export function runWorker(): (message: ParentMessage) => void {
  yieldToParent();
  const clock = new SystemClock();
  const alive = new InterruptibleLoop(clock, {
    intervalMs: ALIVE_INTERVAL_MS,
    turn: () => send({ type: 'alive' }, ignore),
    onError: ignore,
  });
  alive.start();
  let session: WorkerSession | undefined;
  return (message) => {
    switch (message.type) {
      case 'start':
        session = createSession(message.config, clock);
        return session.start(message.watermark);
      case 'watermark':
        return session?.advance(message.watermark);
      case 'flush':
        return session?.flushNow(message.watermark);
      case 'stop':
        void (session?.stop() ?? Promise.resolve()).finally(exit);
    }
  };
}

function createSession({ loop, repository }: WorkerConfig, clock: SystemClock): WorkerSession {
  const fs = new NodeFileSystem();
  const folder = new LogFolder(fs, loop.eventLogPath);
  const ports = { clock, ensureFile: (path: string) => folder.createFile(path), sharesProcessWithLog: false };
  const session: WorkerSession = new WorkerSession(loop, {
    source: new SegmentTail(fs, loop.eventLogPath),
    projector: createProjector(
      repository,
      ports,
      noticesTo((notice) => session.noticed(notice)),
    ),
    clock,
    ids: new SystemIdSource(),
    send,
    onHalted: exit,
  });
  return session;
}

/** A channel that is gone takes nothing, and 'disconnect' ends this process. */
function send(message: WorkerMessage, done: () => void): void {
  if (process.send === undefined || !process.connected) return done();
  if (message.type === 'report') failpoint('flush.before-report');
  process.send(message, undefined, undefined, () => done());
}

const exit = (): never => process.exit(0);
const ignore = (): void => undefined;

/** Under full load the acknowledgements go first; what is not in the database yet is safe in the log. */
function yieldToParent(): void {
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // A host that forbids it loses some speed, nothing else.
  }
}
