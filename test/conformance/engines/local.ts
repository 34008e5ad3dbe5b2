import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { TaskDefinition } from '../../../lib/contracts/task-handler.interface.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';
import type { EngineKind, EngineUnderTest, TaskNode } from '../engine-under-test.js';

/** The log on a simulated disk, rows in memory, time that stands still: what outlives a crash is what was synced. */
class LocalEngine implements EngineUnderTest {
  private readonly house = new WholeSystem();

  get node(): TaskNode {
    const { system, context } = this.house.now;
    return { system, get: (token) => context.get(token) };
  }

  define(name: string, definition: TaskDefinition): void {
    this.house.definitions.set(name, definition);
  }

  start(options: TaskflowOptionsInput = {}): Promise<void> {
    this.house.options = options;
    return this.house.start();
  }

  async crash(): Promise<void> {
    this.house.crash();
  }

  stop(): Promise<void> {
    return this.house.stop();
  }

  restart(options?: TaskflowOptionsInput): Promise<void> {
    if (options !== undefined) this.house.options = options;
    return this.house.start();
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.house.until(promise);
  }

  pass(ms: number): Promise<void> {
    return this.house.run(ms);
  }

  atRest(): Promise<void> {
    return this.house.flushed();
  }

  close(): Promise<void> {
    return this.house.stop();
  }
}

export const LOCAL: EngineKind = { name: 'local', create: () => new LocalEngine() };
