import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { createTaskSystem, type TaskSystem, type TaskflowOptionsInput } from 'nestjs-taskflow';
import { eventually } from '../clock/patience.js';

// What Nest itself says at start-up is nothing that a test looks at.
Logger.overrideLogger(false);

/** Limits out of the way, for tests that are not about them. */
export const ROOMY = { backpressure: { maxTasksPerWindow: 1_000_000, maxTasksPerUserWindow: 1_000_000, maxQueuedSize: 1_000_000 } };

export const silent = { log() {}, error() {}, warn() {}, debug() {}, verbose() {}, fatal() {} };

/** A folder of its own, and systems in it that are shut down in the end, whatever the test did. */
export class TestFolder {
  private readonly systems: TaskSystem[] = [];

  private constructor(readonly path: string) {}

  static async create(): Promise<TestFolder> {
    return new TestFolder(await mkdtemp(join(tmpdir(), 'taskflow-')));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  options(more: TaskflowOptionsInput = {}): TaskflowOptionsInput {
    return {
      guard: ROOMY,
      ...more,
      eventLog: { eventLogPath: this.file('events.log'), lockTimeoutMs: 200, ...more['eventLog'] },
      repository: more['repository'] ?? { type: 'sqlite', database: this.file('tasks.db') },
      flush: { flushIntervalMs: 50, worker: 'inline', ...more['flush'] },
      hooks: more['hooks'] ?? { logger: silent },
    };
  }

  /** Not initialised, so that tasks can be defined first. */
  async system(more: TaskflowOptionsInput = {}): Promise<TaskSystem> {
    const system = await createTaskSystem(this.options(more));
    this.systems.push(system);
    return system;
  }

  async dispose(): Promise<void> {
    for (const system of this.systems) await system.shutdown({ force: true, timeoutMs: 0 });
    await rm(this.path, { recursive: true, force: true });
  }
}

/** All that is in the log is in the database: a shutdown waits for it only so long. */
export const caughtUp = (system: TaskSystem): Promise<unknown> =>
  eventually(
    () => system.getStats(),
    ({ flush, eventLog }) => flush.appliedSeq === eventLog.durableSeq,
  );
