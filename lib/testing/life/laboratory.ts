import type { Type } from '@nestjs/common';
import type { Task } from '../../contracts/task.interface.js';
import type { TaskDefinition } from '../../contracts/task-handler.interface.js';
import { TaskSystem } from '../../task-system.js';
import { TestClock } from '../clock/test-clock.js';
import { MemoryDisk } from '../disk/memory-disk.js';
import { HandlerSpies } from '../handler-spy.js';
import { pause, realMs, turn } from '../real-time.js';
import { DatabaseState } from '../rows/repository-gate.js';
import { AttemptWatch } from './attempt-watch.js';
import { type Host, Life } from './life.js';
import { type TestOptions } from './test-options.js';

/** Real time that whatever is to end by itself gets. Below the default limits of test frameworks, so that the message is seen. */
const PATIENCE_MS = 4_000;
/** Real time in which the clock stands still for a run that began. */
const GRACE_MS = 50;
/** Turns of the event loop without anything done, after which nothing will be. */
const QUIET_TURNS = 4;
const MICROTASK_TURNS = 30;
const CLOSING: ReadonlySet<PropertyKey> = new Set(['stopWork', 'stop', 'shutdown']);
/** Of TaskSystem: who calls one of them waits for what only a run can bring. */
const WAITING = ['result', 'subscribe', 'sse', 'sseMany'] as const;

/** The world of one application under test: its clock, its disk, its rows, and the lives of its process, one after the other. */
export class Laboratory {
  readonly clock = new TestClock();
  readonly watch = new AttemptWatch();
  readonly spies = new HandlerSpies();
  private readonly database = new DatabaseState();
  private readonly definitions = new Map<string, TaskDefinition>();
  private disk = new MemoryDisk();
  private current: Life | undefined;
  /** Calls that let everything run. */
  private open = 0;
  private isWaitedFor = false;
  private isClosed = false;

  constructor(
    private readonly options: TestOptions,
    private readonly host: Host,
  ) {
    this.isWaitedFor = options.runsByItself;
  }

  get life(): Life {
    return (this.current ??= this.born());
  }

  get<T>(token: Type<T> | symbol): T {
    return this.life.get(token);
  }

  async advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`clock.advance takes milliseconds from 0 on, got ${ms}.`);
    await this.letting(async () => {
      let before = -1;
      await this.clock.advance(ms, async () => {
        // Most timers find nothing to do: those cost no turn of the event loop.
        for (let turns = MICROTASK_TURNS; turns > 0 && this.activity === before; turns--) await Promise.resolve();
        if (this.activity !== before || this.life.isBusy) await this.settled(GRACE_MS);
        before = this.activity;
      });
      this.life.gate.look();
      await this.settled(GRACE_MS);
    });
  }

  async drain(): Promise<void> {
    await this.letting(() => this.untilIdle());
    this.watch.forget();
  }

  async runNext(): Promise<Task | null> {
    await this.settled();
    const told = this.watch.take();
    if (told !== undefined) return told;
    const { gate } = this.life;
    if (!this.life.isBusy) {
      gate.permitOne();
      await this.settled();
    }
    const until = realMs() + PATIENCE_MS;
    for (let ended = this.watch.take(); ; ended = this.watch.take()) {
      if (ended !== undefined) return ended;
      if (!this.life.isBusy && (gate.revoke() || gate.queued === 0)) return this.watch.take() ?? null;
      await this.patiently(until);
    }
  }

  fail(what: string | undefined): void {
    const isOfDatabase = what?.startsWith('database-') === true;
    if (isOfDatabase && this.options.repository === undefined)
      throw new Error(
        `fail('${what}') is for the rows that this kit keeps in memory, or for a custom repository: stop your database itself.`,
      );
    this.database.failure = isOfDatabase ? (what as DatabaseState['failure']) : undefined;
    this.disk.failure = isOfDatabase ? undefined : (what as MemoryDisk['failure']);
  }

  async crash(): Promise<void> {
    this.life.crash();
    await turn();
    this.disk = this.disk.afterCrash();
    this.current = this.born();
    for (const [name, definition] of this.definitions) this.system.defineTask(name, definition);
    await this.clock.flowing(() => this.life.start());
  }

  /** The application starts or closes: what it waits for then is no business of the test's. */
  atEdge<T>(member: PropertyKey, work: () => Promise<T>): Promise<T> {
    this.isClosed ||= CLOSING.has(member);
    return this.clock.flowing(work);
  }

  private get system(): TaskSystem {
    return this.life.system;
  }

  private born(): Life {
    const { options, host, clock, disk, database } = this;
    const isOpen = (): boolean => this.isWaitedFor || this.open > 0;
    const life = new Life({ host, options: options.input, clock, disk, repository: options.repository?.(clock), database, isOpen });
    life.interceptors.add(this.spies.link);
    this.watch.follow(life.changes);
    this.overhear(life.system);
    return life;
  }

  /** Tasks that are defined by hand are defined again after a crash, as the code of the application would. */
  private overhear(system: TaskSystem): void {
    const define = system.defineTask.bind(system);
    system.defineTask = (name: string, definition: TaskDefinition) => {
      define(name, definition);
      this.definitions.set(name, definition);
    };
    const members = system as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>;
    for (const member of WAITING) {
      const call = members[member]?.bind(system);
      if (call === undefined) continue;
      members[member] = (...args) => {
        const answer = call(...args);
        if (!this.isWaitedFor) {
          this.isWaitedFor = true;
          this.life.gate.look();
        }
        return answer;
      };
    }
  }

  private async letting(work: () => Promise<void>): Promise<void> {
    this.open += 1;
    try {
      this.life.gate.look();
      await work();
    } finally {
      this.open -= 1;
    }
  }

  private async untilIdle(): Promise<void> {
    const until = realMs() + PATIENCE_MS;
    for (;;) {
      this.life.gate.look();
      await this.settled();
      if (!this.life.isBusy && this.life.gate.queued === 0) return;
      await this.patiently(until);
    }
  }

  private async patiently(until: number): Promise<void> {
    if (this.isClosed) throw new Error('The application was closed.');
    if (realMs() > until)
      throw new Error(
        `Nothing came of it within ${PATIENCE_MS} ms. Running: ${this.watch.describeRunning()}; waiting: ${this.life.gate.queued}. A run that ` +
          'waits for the clock goes on by clock.advance().',
      );
    await pause(1);
  }

  /** Until nothing is done any more without time or a handler. @param graceMs runs that began get so much real time to come to their end. */
  private async settled(graceMs = 0): Promise<void> {
    const until = realMs() + PATIENCE_MS;
    for (let quiet = 0; quiet < QUIET_TURNS && realMs() < until; quiet++) {
      const before = this.activity;
      await turn();
      if (this.database.underWay > 0) await pause(1);
      if (this.activity !== before || this.database.underWay > 0) quiet = 0;
      else if (graceMs > 0 && this.watch.youngerThan(graceMs) > 0) {
        await pause(1);
        quiet = 0;
      }
    }
  }

  private get activity(): number {
    return this.disk.calls + this.database.calls;
  }
}
