import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { CLOCK, ENGINE, ID_SOURCE, LOG_FILE_SYSTEM, TASKFLOW_OPTIONS_INPUT } from '../../../lib/config/taskflow.tokens.js';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { TaskDefinition } from '../../../lib/contracts/task-handler.interface.js';
import type { Overlay } from '../../../lib/engines/local/ledger/overlay.js';
import type { LocalEngine } from '../../../lib/engines/local/local-engine.js';
import type { LocalParts } from '../../../lib/engines/local/local-parts.js';
import { taskflowProviders } from '../../../lib/taskflow.providers.js';
import { TaskSystem } from '../../../lib/task-system.js';
import { FakeClock, FakeIdSource, settle } from '../clock/fake-clock.js';
import { ProviderContainer } from '../../../lib/testing/life/provider-container.js';
import { type CrashMode, SimulatedDisk } from '../disk/simulated-disk.js';
import { SharedRows, SwitchableRepository } from './switchable-repository.js';

const silent = { log() {}, error() {}, warn() {}, debug() {}, verbose() {}, fatal() {} };
const ROOMY = { maxTasksPerWindow: 1_000_000, maxTasksPerUserWindow: 1_000_000, maxQueuedSize: 1_000_000 };

/** One life of a process: a task system on a simulated disk, with time that stands still. */
export interface Life {
  readonly context: ProviderContainer;
  readonly system: TaskSystem;
  readonly clock: FakeClock;
  readonly repository: SwitchableRepository;
}

/**
 * Everything between `submit` and the rows, in one process and on sources. Disk, rows and ids outlive the process; it can be killed
 * at any moment, with or without the machine.
 */
export class WholeSystem {
  disk = new SimulatedDisk();
  readonly shared = new SharedRows();
  readonly ids = new FakeIdSource();
  /** What `defineTask` is given at each start. */
  readonly definitions = new Map<string, TaskDefinition>();
  private life: Life | undefined;
  private wall = 1_700_000_000_000;

  constructor(
    /** Of the next start. */
    public options: TaskflowOptionsInput = {},
    private readonly logger: unknown = silent,
  ) {}

  get now(): Life {
    if (this.life === undefined) throw new Error('The system is not started.');
    return this.life;
  }
  /** Undefined while the process is down. */
  get current(): Life | undefined {
    return this.life;
  }
  get system(): TaskSystem {
    return this.now.system;
  }
  get clock(): FakeClock {
    return this.now.clock;
  }
  /** What the engine is made of. */
  get parts(): LocalParts {
    return this.get<LocalEngine>(ENGINE).parts;
  }
  get overlay(): Overlay {
    return this.parts.overlay;
  }
  get<T>(type: Type<T> | symbol): T {
    return this.now.context.get<T>(type);
  }

  /** @param clockJumpMs how far the wall clock was set meanwhile. */
  async start(clockJumpMs = 0): Promise<void> {
    this.wall += clockJumpMs;
    const clock = new FakeClock(this.wall);
    const repository = new SwitchableRepository(this.shared);
    const context = new ProviderContainer(this.providers(clock, repository));
    this.life = { context, clock, repository, system: context.get(TaskSystem) };
    for (const [name, definition] of this.definitions) this.system.defineTask(name, definition);
    await this.until(this.system.initialize());
  }

  /** The power fails, and the machine comes back with what `mode` leaves on the disk. The system is not started. */
  crash(mode: CrashMode = 'drop'): void {
    this.now.repository.isDead = true;
    this.wall = this.clock.now();
    this.disk.isDown = true;
    this.disk = this.disk.afterCrash(mode, this.ids.random);
    this.life = undefined;
  }

  async stop(): Promise<void> {
    if (this.life === undefined) return;
    await this.until(this.system.shutdown());
    this.wall = this.clock.now();
    this.life = undefined;
  }

  /** Waits for a promise while time goes on. Fails after a minute of that time. */
  async until<T>(promise: Promise<T>, maxMs = 60_000): Promise<T> {
    if (!(await this.settlesWithin(promise, maxMs))) throw new Error(`Nothing came within ${maxMs} ms.`);
    return promise;
  }

  async settlesWithin(promise: Promise<unknown>, maxMs: number): Promise<boolean> {
    let isDone = false;
    const done = () => void (isDone = true);
    promise.then(done, done);
    for (let turn = 0; !isDone && turn < 50; turn++) await settle();
    for (let ms = 0; !isDone && ms < maxMs; ms += 100) await this.clock.run(100);
    return isDone;
  }

  /** Lets the process work for that long. */
  async run(ms: number): Promise<void> {
    await this.clock.run(ms);
    for (let turn = 0; turn < 5; turn++) await settle();
  }

  /** Until the database has everything. */
  async flushed(): Promise<void> {
    // In small steps: a call to storage that this happens in must not be taken for a silent one.
    for (let turn = 0; turn < 500; turn++) {
      const { eventLog, flush } = this.system.getStats();
      if (flush.appliedSeq === eventLog.durableSeq) return;
      await this.run(200);
    }
    throw new Error(`Not flushed: ${JSON.stringify(this.system.getStats())}`);
  }

  /** The text of all segments, as a power failure would leave it. */
  durableText(): string {
    const survivors = this.disk.afterCrash('drop', () => 0);
    return survivors
      .paths()
      .filter((path) => path.endsWith('.log'))
      .map((path) => survivors.content(path).toString())
      .join('');
  }

  private providers(clock: FakeClock, repository: SwitchableRepository) {
    const input: TaskflowOptionsInput = {
      ...this.options,
      hooks: { logger: this.logger },
      guard: { backpressure: ROOMY, ...this.options['guard'] },
      eventLog: { eventLogPath: '/data/events.log', minFreeBytes: 0, ...this.options['eventLog'] },
      repository: { type: 'custom', repository },
      flush: { worker: 'inline', ...this.options['flush'] },
    };
    return [
      { provide: TASKFLOW_OPTIONS_INPUT, useValue: input },
      ...taskflowProviders,
      { provide: CLOCK, useValue: clock },
      { provide: ID_SOURCE, useValue: this.ids },
      { provide: LOG_FILE_SYSTEM, useValue: this.disk },
    ];
  }
}
