import { afterEach, describe, it } from '@jest/globals';
import type { TaskflowOptionsInput } from '../../lib/config/taskflow-options.interface.js';
import type { StoredEvent } from '../../lib/contracts/task-event.interface.js';
import type { SubmitParams, SubscribeOptions, TaskRef } from '../../lib/contracts/task-system.interface.js';
import type { Task, TaskStatus } from '../../lib/contracts/task.interface.js';
import type { TaskSystem } from '../../lib/task-system.js';
import { HandDrivenWork } from '../support/doubles/hand-driven-work.js';
import type { EngineKind, EngineUnderTest, TaskNode } from './engine-under-test.js';
import { ENGINES } from './engines.js';

/** In real time, or in time moved by hand: more than any engine takes for what a test waits for. */
const PATIENCE_MS = 60_000;
const STEP_MS = 20;

/** One engine and the work that a test drives by hand, with what every conformance test says. */
export class House {
  work = new HandDrivenWork();
  private current: EngineUnderTest | undefined;

  constructor(private readonly kind: EngineKind) {}

  get engine(): EngineUnderTest {
    if (this.current === undefined) throw new Error('No engine was opened.');
    return this.current;
  }
  get node(): TaskNode {
    return this.engine.node;
  }
  get system(): TaskSystem {
    return this.node.system;
  }

  /** A fresh engine with a handler `work`; ends the one before. */
  async open(options: TaskflowOptionsInput = {}, work = new HandDrivenWork()): Promise<void> {
    await this.close();
    this.work = work;
    this.current = this.kind.create();
    this.engine.define('work', work.definition);
    await this.engine.start(options);
  }

  /** The process dies, and another one takes its place. */
  async crash(): Promise<void> {
    await this.engine.crash();
    this.work.forget();
    await this.engine.restart();
  }

  async close(): Promise<void> {
    await this.current?.close();
    this.current = undefined;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.engine.until(promise);
  }

  pass(ms: number): Promise<void> {
    return this.engine.pass(ms);
  }

  /** Lets time go by until what is read is as it shall be; fails with what was seen last. */
  async seen<T>(read: () => T | Promise<T>, holds: (value: T) => boolean): Promise<T> {
    for (let waited = 0; ; waited += STEP_MS) {
      const value = await this.until(Promise.resolve(read()));
      if (holds(value)) return value;
      if (waited > PATIENCE_MS) throw new Error(`Not reached; last seen: ${JSON.stringify(value)}`);
      await this.pass(STEP_MS);
    }
  }

  submit(params: Partial<SubmitParams<unknown>> = {}, name = 'work'): Promise<Task> {
    return this.until(this.system.submit(name, { input: 1, ...params }));
  }

  /** Submitted, and its handler was called. */
  async running(params: Partial<SubmitParams<unknown>> = {}): Promise<Task> {
    const task = await this.submit(params);
    await this.runs(task);
    return task;
  }

  /** Until the handler of the task was called, in this life of the process. */
  async runs(task: { readonly id: string }): Promise<void> {
    await this.seen(
      () => this.work.runs.has(task.id),
      (isRunning) => isRunning,
    );
  }

  now(ref: TaskRef, options?: { userId?: string }): Promise<Task | null> {
    return this.until(this.system.get(ref, options));
  }

  /** Until the task has that status; the task as of it. */
  async reaches(status: TaskStatus, task: { readonly id: Task['id'] }): Promise<Task> {
    return (await this.seen(
      () => this.system.get({ id: task.id }),
      (found) => found?.status === status,
    ))!;
  }

  async complete(task: Task, result: unknown = 'done'): Promise<Task> {
    await this.runs(task);
    this.work.run(task.id).resolve(result);
    return this.reaches('completed', task);
  }

  /** A task whose only attempt failed. */
  async failed(params: Partial<SubmitParams<unknown>> = {}): Promise<Task> {
    const task = await this.running({ maxAttempts: 1, ...params });
    this.work.run(task.id).reject(new Error('no'));
    return this.reaches('failed', task);
  }

  /** All events of a task that has ended, or those until `enough`. */
  async events(ref: TaskRef, options: SubscribeOptions & { enough?: number } = {}, system = this.system): Promise<StoredEvent[]> {
    const { enough = Number.POSITIVE_INFINITY, ...rest } = options;
    const found: StoredEvent[] = [];
    const read = async (): Promise<void> => {
      for await (const event of system.subscribe(ref, rest)) {
        found.push(event as StoredEvent);
        if (found.length === enough) return;
      }
    };
    await this.until(read());
    return found;
  }
}

/** What became of a promise: `ok`, or the code of its error. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

export const count = <T>(all: readonly T[], one: T): number => all.filter((each) => each === one).length;

/** Tests that hold for every engine. */
export function forEveryEngine(title: string, tests: (house: House) => void): void {
  for (const kind of ENGINES) {
    describe(`${title}, engine ${kind.name}`, () => {
      if (kind.missing !== undefined) {
        it.skip(`is not tried: ${kind.missing}`, () => undefined);
        return;
      }
      const house = new House(kind);
      afterEach(() => house.close());
      tests(house);
    });
  }
}
