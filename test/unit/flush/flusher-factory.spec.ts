import { describe, expect, it } from '@jest/globals';
import { resolveOptions } from '../../../lib/config/resolve-options.js';
import type { OpenedLog } from '../../../lib/contracts/event-log.interface.js';
import type { TaskStore } from '../../../lib/contracts/task-store.interface.js';
import { FlushLogger } from '../../../lib/engines/local/projection/flush-logger.js';
import { FlusherFactory } from '../../../lib/engines/local/projection/flusher.factory.js';
import { InlineFlusher } from '../../../lib/engines/local/projection/inline-flusher.js';
import { DatabaseOutage } from '../../../lib/engines/local/storage/database-outage.service.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';
import { FakeClock, FakeIdSource } from '../../support/clock/fake-clock.js';

describe('A bundle without the file of the flush worker', () => {
  // Run from the sources the worker's file is not there either: it is made by the build.
  it.each([
    ['process', 1],
    ['inline', 0],
  ] as const)('flushes in process, and says so where a worker was wanted (flush.worker: %s)', (worker, warnings) => {
    const clock = new FakeClock();
    const lines: unknown[] = [];
    const logger = { log: () => undefined, warn: (line: unknown) => lines.push(line), error: () => undefined };
    const options = resolveOptions({ flush: { worker } });
    const flushers = new FlusherFactory(
      options,
      clock,
      new FakeIdSource(),
      new NodeFileSystem(),
      new FlushLogger(logger, new DatabaseOutage(clock, logger)),
    );
    const log = { logId: 'log', gen: 1 } as OpenedLog;
    expect(flushers.create(log, {} as TaskStore, (write) => write())).toBeInstanceOf(InlineFlusher);
    expect(lines).toHaveLength(warnings);
    if (warnings > 0) expect(lines[0]).toContain('bundle');
  });
});
