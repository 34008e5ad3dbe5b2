import type { Type } from '@nestjs/common';
import type { TaskHandler } from '../contracts/task-handler.interface.js';
import type { Task } from '../contracts/task.interface.js';
import { taskHandlerMetadata } from '../handlers/task-handler.decorator.js';
import { type HandlerSpy } from './handler-spy.js';
import { Laboratory } from './life/laboratory.js';
import { matches } from './matching.js';

/** What `fail` has go wrong. */
export type TestFailure = 'log-full' | 'log-failed' | 'database-away' | 'database-silent';

export interface TestTimeClock {
  /** Epoch ms; at first what the machine's clock shows. */
  now(): number;
  /**
   * Moves the time, and everything that it moves: delays, retries, timeouts, windows, expiry, retention. Tasks that are due on the way run. A
   * run that waits for nothing of the clock's gets 50 ms of real time before it goes on.
   */
  advance(ms: number): Promise<void>;
}

/**
 * A test's hand on the task system of its application: `app.get(TaskflowTesting)`. Nothing runs by itself until the test lets it: `runNext`
 * one attempt, `drain` all that is due, `clock.advance` all that comes due meanwhile. Whoever waits for a task's end by `result`, `subscribe`
 * or `sse` has tasks run by themselves from then on, and so has the option `executor: { enabled: true }`.
 */
export class TaskflowTesting {
  readonly clock: TestTimeClock;

  /** @internal */
  constructor(private readonly lab: Laboratory) {
    this.clock = { now: () => lab.clock.now(), advance: (ms) => lab.advance(ms) };
  }

  /** Runs what is runnable, until nothing is at the clock's present time. @throws Error when runs have not ended after 4 s of real time: it names them. */
  drain(): Promise<void> {
    return this.lab.drain();
  }

  /**
   * The outcome of the next attempt: the oldest one that ran since and that no call told of, else the next runnable task is run to the end of
   * its attempt. @returns the task as of that end (`created` again when it is to be retried); null: nothing is runnable. @throws as `drain`.
   */
  runNext(): Promise<Task | null> {
    return this.lab.runNext();
  }

  /** Tasks that were created, oldest first, as of their submit; those of handlers too. @param handler class or name. Default: all. */
  submitted(handler?: Type<TaskHandler> | string): readonly Task[] {
    const names = handler === undefined ? undefined : namesOf(handler);
    return this.lab.watch.submitted.filter(({ name }) => names === undefined || names.includes(name));
  }

  /**
   * The newest submit of that handler whose input has what `input` has: members that are not named do not count, and matchers of Jest and
   * Vitest (`expect.any(String)`) may stand for any part. @throws Error that shows what was submitted instead.
   */
  expectSubmitted(handler: Type<TaskHandler> | string, input?: unknown): Task {
    const tasks = this.submitted(handler);
    const found = [...tasks].reverse().find((task) => input === undefined || matches(task.input, input));
    if (found !== undefined) return found;
    const wanted = input === undefined ? '' : ` with ${inspected(input)}`;
    const others = this.submitted().map((task) => `\n  ${task.name} ${inspected(task.input)}`);
    throw new Error(
      `No task of ${namesOf(handler).join(', ')} was submitted${wanted}. Submitted: ${others.length === 0 ? 'nothing' : others.join('')}`,
    );
  }

  /** Sees attempts of that handler from now on. The same spy for the same handler. @param handler class or name. */
  spyOn<I = any, R = any>(handler: Type<TaskHandler<I, R>> | string): HandlerSpy<I, R> {
    return this.lab.spies.of(namesOf(handler)[0]!) as HandlerSpy<I, R>;
  }

  /**
   * As after `kill -9`, in this process: what was not synced is gone, runs break off (their signal fires, so that a test can end them),
   * streams end; then the task system starts again, on what is left. Providers and their state stay, as this is one process.
   */
  crash(): Promise<void> {
    return this.lab.crash();
  }

  /**
   * Has something go wrong until the next call; null: nothing. `log-full` and `log-failed`: no room, and no sync, on the log's disk; a full
   * one is looked at again after a second of the clock, a failed one after `crash()`. `database-away` refuses, `database-silent` never
   * answers: a read is given up after 10 s of the clock.
   * @throws Error for `database-…` where the options name a database: stop that one itself.
   */
  fail(what: TestFailure | null): void {
    this.lab.fail(what ?? undefined);
  }
}

/** @throws Error for a class that is not marked. */
function namesOf(handler: unknown): string[] {
  if (typeof handler === 'string') return [handler];
  const names = taskHandlerMetadata(handler).map(({ name }) => name as string);
  if (names.length === 0) throw new Error(`${(handler as Type | undefined)?.name ?? String(handler)} is not marked with @TaskHandler.`);
  return names;
}

const inspected = (value: unknown): string => JSON.stringify(value) ?? String(value);
