import { cpSync, mkdirSync } from 'node:fs';
import { expect } from '@jest/globals';
import { ChildApp } from '../process/child-app.js';
import { type DiskCall, FailingDisk } from './failing-disk.js';
import type { TaskflowOptionsInput } from 'nestjs-taskflow';
import { ROOMY, TestFolder } from '../process/task-system.js';

export interface Refusal {
  readonly name: string;
  readonly code: string;
  readonly state: string;
  readonly outcome: string;
}
type Answer = Record<string, any>;

export interface Circumstances {
  readonly eventLog?: TaskflowOptionsInput['eventLog'];
  readonly flush?: TaskflowOptionsInput['flush'];
  /** What the process is started through: a command that takes another one as its last arguments. */
  readonly wrapper?: readonly string[];
}

/** A process with a task system whose log is on a disk that can be told to fail, and what its clients were told. */
export class FaultyLife {
  readonly acknowledged = new Map<string, string>();
  readonly refused = new Map<string, Refusal>();
  private app: ChildApp | undefined;
  private submits = 0;

  private constructor(
    readonly folder: TestFolder,
    readonly disk: FailingDisk,
    private readonly circumstances: Circumstances,
  ) {}

  /** @param library what makes calls fail; without it they fail by themselves. */
  static async create(library: string | undefined, circumstances: Circumstances = {}): Promise<FaultyLife> {
    const folder = await TestFolder.create();
    mkdirSync(folder.file('log'));
    return new FaultyLife(folder, new FailingDisk(library, folder.file('log'), folder.path), circumstances);
  }

  /** Another life, with copies of the files and of what the clients were told. */
  async copy(library: string): Promise<FaultyLife> {
    const copy = await FaultyLife.create(library);
    const isFile = (path: string): boolean => !path.includes('.lock.'); // the socket of a process that was killed cannot be copied
    cpSync(this.folder.file('log'), copy.folder.file('log'), { recursive: true, filter: isFile });
    cpSync(this.folder.file('tasks.db'), copy.folder.file('tasks.db'));
    for (const [key, id] of this.acknowledged) copy.acknowledged.set(key, id);
    return copy;
  }

  /** Files of a few entries, so that each operation of the log comes up soon. */
  get options(): object {
    const { eventLog, flush = {} } = this.circumstances;
    return this.folder.options({
      guard: ROOMY,
      eventLog: { eventLogPath: this.folder.file('log/events.log'), maxSizeBytesPerFile: 2500, minFreeBytes: 0, ...eventLog },
      flush,
      hooks: undefined,
    });
  }

  /** Rejects when it does not start, with what it printed. */
  async start(): Promise<void> {
    this.app = await ChildApp.spawnIn(this.disk.env, this.options, this.circumstances.wrapper).ready();
  }

  /** Some at once, so that frames have one and more entries. */
  async submit(count = 2, inputBytes = 4): Promise<void> {
    const waits = Array.from({ length: count }, async () => {
      const key = `k${++this.submits}`;
      await this.ask('submit', { name: 'quick', params: { input: 'x'.repeat(inputBytes), idempotencyKey: key } }).then(
        (answer) => this.acknowledged.set(key, answer['id'] as string),
        (error: Refusal) => this.refused.set(key, error),
      );
    });
    await Promise.all(waits);
  }

  ask(name: string, args: object = {}): Promise<Answer> {
    return this.app!.ask(name, args);
  }

  async state(): Promise<string> {
    return (await this.ask('stats'))['stats'].eventLog.state as string;
  }

  shutdown(): Promise<Answer> {
    return this.ask('shutdown');
  }
  async kill(): Promise<void> {
    await this.app?.kill();
    this.app = undefined;
  }

  get faults(): DiskCall[] {
    return this.disk.calls.filter(({ isFault }) => isFault);
  }

  /** Another process opens the same log, on a sound disk: what was acknowledged is there, what was refused is not. */
  async verify(): Promise<void> {
    const system = await this.folder.system({ eventLog: { eventLogPath: this.folder.file('log/events.log'), minFreeBytes: 0 } });
    system.defineTask('quick', { handler: async (input) => ({ echo: input }) });
    await system.initialize();
    for (const [key, id] of this.acknowledged) expect(await system.getStatus(key)).toMatchObject({ id });
    for (const [key, { outcome }] of this.refused)
      if (outcome === 'none') expect({ key, task: await system.getStatus(key) }).toEqual({ key, task: null });
    const [last] = [...this.acknowledged.values()].slice(-1);
    if (last !== undefined) await system.result({ taskId: last });
    await system.shutdown();
  }

  async dispose(): Promise<void> {
    await this.kill();
    await this.folder.dispose();
  }
}
