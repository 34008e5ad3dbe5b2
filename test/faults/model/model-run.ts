import { expect } from '@jest/globals';
import type { SubmitParams } from '../../../lib/contracts/task-system.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { NonRetryableError } from '../../../lib/errors/execution.errors.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';
import { Account, type Known, keyOf, reasonOf } from './account.js';
import type { Coverage } from './coverage.js';
import { ModelReading } from './model-reading.js';
import type { Step, Submit } from './steps.js';

const USERS = ['ann', null] as const;
const TTL_MS = { completed: 30_000, cancelled: 30_000, failed: 60_000 };
const FILE_BYTES = 4_096;
const BUFFERED = 3;
/** Refusals that promise that nothing happened. */
const REFUSALS = new Set(['UNAVAILABLE', 'EVENT_LOG_FULL', 'IDEMPOTENCY_CONFLICT', 'EVENT_LOG_FAILED', 'EVENT_LOG', 'SHUTTING_DOWN']);

const nothing = (): void => {};
const codeOf = (error: Error): unknown => (error as Error & { code?: unknown }).code;
const paramsOf = (step: Submit): SubmitParams<unknown> => ({
  input: step.input,
  userId: USERS[step.user]!,
  ...(step.key === null ? {} : { idempotencyKey: String(step.key) }),
  ...(step.delayMs === 0 ? {} : { delayMs: step.delayMs }),
});

/** The system under random steps, beside a plain account of what it acknowledged and showed. */
export class ModelRun {
  readonly account = new Account();
  private readonly work = new HandDrivenWork();
  private readonly house = new WholeSystem({
    eventLog: { maxSizeBytesPerFile: FILE_BYTES, retentionCount: 1 },
    flush: { maxBatchSize: 7, flushIntervalMs: 500, circuitBreakerThreshold: 2, circuitBreakerDurationMs: 1_000 },
    guard: { slots: { maxExecutionGlobal: 3 }, dlq: { ttlMs: TTL_MS.failed } },
    retention: { completedTtlMs: TTL_MS.completed, failedTtlMs: TTL_MS.failed, sweepIntervalMs: 100_000_000 },
    recovery: { maxRecoveriesPerTask: 50 },
    executor: { tickIntervalMs: 500 },
    stream: { streamBufferSize: BUFFERED, streamRetentionMs: 1_000 },
  });
  private readonly reading: ModelReading;
  /** When each task's handler was called first. */
  private readonly calledAt = new Map<string, number>();
  private files: string[] = [];

  constructor(private readonly coverage: Coverage) {
    this.reading = new ModelReading(this.house, this.account, coverage, BUFFERED);
  }

  async begin(): Promise<void> {
    const { handler } = this.work.definition;
    this.house.definitions.set('work', {
      ...this.work.definition,
      handler: (input, ctx) => {
        this.coverage.count('run');
        if (this.work.runs.has(ctx.taskId)) this.account.faults.push(`${ctx.taskId} runs twice at once`);
        if (!this.calledAt.has(ctx.taskId)) this.calledAt.set(ctx.taskId, this.house.clock.now());
        return handler(input, ctx);
      },
    });
    await this.house.start();
  }

  async take(step: Step): Promise<void> {
    await this.perform(step);
    this.countFiles();
  }

  private async perform(step: Step): Promise<void> {
    switch (step.do) {
      case 'submit':
        return this.submit(step);
      case 'burst':
        return this.burst(step);
      case 'duplicate':
        return this.withTask(step.pick, ({ submit }) => this.submit(submit));
      case 'conflict':
        return this.withTask(step.pick, ({ submit }) => this.submit({ ...submit, input: 1 - submit.input }));
      case 'progress':
        return this.withRun(step.pick, (run) => this.report(run, { fence: run.ctx.fence }));
      case 'rotate':
        return this.withRun(step.pick, (run) => this.report(run, 'x'.repeat(FILE_BYTES)));
      case 'complete':
        return this.withRun(step.pick, (run) => run.resolve('done'));
      case 'fail':
        return this.withRun(step.pick, (run) => run.reject(step.pick % 2 === 0 ? new NonRetryableError('no') : new Error('no')));
      case 'cancel':
        return this.withTask(step.pick, (task) => this.cancel(task));
      case 'resume':
        return this.withTask(step.pick, (task) => this.reading.resume(task, step.pick));
      case 'stall':
        return this.withTask(step.pick, (task) => this.reading.stall(task));
      case 'drain':
        return this.reading.drain();
      case 'retryDead':
        return this.retryDead(step.pick);
      case 'crash':
        return this.crash(step.mode, step.turns);
      case 'stop':
        return this.stop();
      case 'poison':
        return this.poison();
      case 'flush':
        return this.house.run(1_000);
      case 'sweep':
        return this.sweep();
      case 'full':
        this.coverage.count('disk full');
        this.house.disk.fault = { at: this.house.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
        return;
      case 'database':
        if (step.isAway !== this.house.shared.isAway) this.coverage.count(step.isAway ? 'database away' : 'database back');
        this.house.shared.isAway = step.isAway;
        return;
      case 'wait':
        return this.house.run(step.ms);
    }
  }

  /** Everything may end now; then what is left must be what the model says. */
  async end(): Promise<void> {
    const { house, account } = this;
    house.shared.isAway = false;
    house.disk.fault = undefined;
    this.work.isAutomatic = true;
    for (let turn = 0; turn < 12; turn++) {
      for (const run of this.work.runs.values()) run.resolve('done');
      await house.run(turn < 4 ? 2_000 : 500);
    }
    await house.flushed();
    await this.reading.drain();
    for (const task of account.known.values()) await this.verify(task);
    const runs = this.work.calls.map(({ taskId, fence }) => `${taskId} ${fence}`);
    expect(runs).toHaveLength(new Set(runs).size);
    expect(house.system.getStats()).toMatchObject({
      status: 'running',
      guard: { slotsInUse: 0 },
      tasks: { queued: 0, delayed: 0, running: 0 },
    });
    expect([...house.overlay.values()].map((head) => head.id)).toEqual([]);
    expect(house.overlay.bytes).toBe(0);
    await house.stop();
    expect(account.faults).toEqual([]);
  }

  private async submit(step: Submit): Promise<void> {
    const holder = this.account.holderOf(step);
    this.account.tries(step);
    const answer = await this.settled(this.house.system.submit('work', paramsOf(step)));
    if (answer instanceof Error) return this.refused(step, answer);
    if (holder !== undefined) this.coverage.count('duplicate');
    this.acknowledge(step, answer);
  }

  private refused(step: Submit, error: Error): void {
    const code = codeOf(error);
    this.coverage.count(code === 'IDEMPOTENCY_CONFLICT' ? 'conflict' : 'refused');
    if (!REFUSALS.has(code as string)) this.account.faults.push(`refused by ${String(error)}`);
    if (code === 'IDEMPOTENCY_CONFLICT' && !this.account.mayConflict(step))
      this.account.faults.push(`a conflict, but ${keyOf(step)} was never used otherwise`);
  }

  /** In the turn in which the submit resolved: no crash may take it back from here on. */
  private acknowledge(step: Submit, task: Task): void {
    this.coverage.count('acknowledged');
    if (step.delayMs > 0) this.coverage.count('delayed');
    if (!this.house.shared.rows.tasks.has(task.id) && !this.house.durableText().includes(task.id))
      this.account.faults.push(`${task.id} was acknowledged before it was durable`);
    void this.reading.watch(this.account.acknowledge(step, task));
  }

  /** Submits, a cancel and the ends of runs that race; one crash or stop may come before their answers. */
  private async burst(step: Extract<Step, { do: 'burst' }>): Promise<void> {
    const { system } = this.house;
    let isDown = false;
    const racing: Promise<void>[] = step.submits.map((submit) => {
      this.account.tries(submit);
      return system.submit('work', paramsOf(submit)).then(
        (task) => (isDown ? undefined : this.acknowledge(submit, task)),
        (error: Error) => (isDown ? undefined : this.refused(submit, error)),
      );
    });
    const tasks = [...this.account.known.values()];
    const victim = tasks[step.cancel % Math.max(1, tasks.length)];
    if (victim !== undefined) racing.push(system.cancel({ id: victim.id }, { reason: reasonOf(victim.id) }).then(nothing, nothing));
    for (const run of this.work.runs.values()) run.resolve('done');
    for (let turn = 0; turn < step.turns; turn++) await Promise.resolve();
    if (step.end === 'stop') await this.stop();
    if (step.end !== 'crash') {
      await this.house.until(Promise.all(racing));
      return;
    }
    isDown = true;
    this.coverage.count('crash in a burst');
    await this.crash('drop', 0);
  }

  private report(run: ReturnType<HandDrivenWork['run']>, payload: unknown): void {
    this.coverage.count('progress');
    run.ctx.progress(payload).catch(nothing); // refused when the run is over by then
  }

  private async cancel({ id }: Known): Promise<void> {
    const answer = await this.settled(this.house.system.cancel({ id }, { reason: reasonOf(id) }));
    if (!(answer instanceof Error)) this.coverage.count('cancelled');
  }

  private async retryDead(pick: number): Promise<void> {
    const { deadLetters } = this.house.system;
    const page = await this.settled(deadLetters.list());
    if (page instanceof Error || page.items.length === 0) return;
    const { id, status } = page.items[pick % page.items.length]!;
    if (status !== 'failed') this.account.faults.push(`${id} is a dead letter, and ${status}`);
    const answer = await this.settled(deadLetters.retry({ id }));
    if (!(answer instanceof Error)) this.coverage.count('dead letter retried');
  }

  private async stop(): Promise<void> {
    this.reading.forget();
    await this.house.stop();
    this.coverage.count('restart');
    await this.restart();
  }

  private async crash(mode: Extract<Step, { do: 'crash' }>['mode'], turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    this.coverage.count('crash');
    this.countFiles();
    this.reading.forget();
    this.house.crash(mode);
    await this.restart();
  }

  private async restart(): Promise<void> {
    this.work.forget();
    if (this.house.shared.isAway) this.coverage.count('start without the database');
    await this.house.start();
    this.coverage.count('recovered', this.house.system.getStats().tasks.recovered);
  }

  /** After the failed sync nothing is accepted, and nothing is shown that the crash then takes. */
  private async poison(): Promise<void> {
    const { house } = this;
    house.disk.fault = { at: 1, kind: 'lost', persistent: true, only: ['fdatasync'] };
    house.disk.hasFired = false;
    const answer = await this.settled(house.system.submit('work', { input: 0 }));
    if (!(answer instanceof Error)) this.account.faults.push('a submit was acknowledged though no sync succeeded');
    await house.run(10);
    if (house.disk.hasFired) {
      this.coverage.count('log failed');
      const { state } = house.system.getStats().eventLog;
      if (state !== 'failed') this.account.faults.push(`the log is ${state} though a sync failed`);
    }
    await this.crash('drop', 0);
  }

  private async sweep(): Promise<void> {
    const { house, account } = this;
    for (const known of account.known.values()) {
      const state = await this.settled(house.system.getStatus({ id: known.id }));
      if (state === null || state instanceof Error || state.completedAt === null) continue;
      const ttlMs = TTL_MS[state.status as keyof typeof TTL_MS];
      if (house.clock.now() - state.completedAt.getTime() >= ttlMs) known.isPrunable = true;
    }
    const pruned = await this.settled(house.parts.retention.sweep());
    if (!(pruned instanceof Error)) this.coverage.count('task pruned', pruned);
  }

  private async verify(known: Known): Promise<void> {
    const { account, house } = this;
    const state = await house.until(house.system.getStatus({ id: known.id }));
    if (state === null) {
      if (!known.isPrunable) account.faults.push(`${known.id} is gone`);
      return;
    }
    const calledAt = this.calledAt.get(known.id);
    if (calledAt !== undefined && calledAt < known.runAt)
      account.faults.push(`${known.id} ran ${known.runAt - calledAt} ms before its time`);
    expect(state).toMatchObject({ id: known.id, status: expect.stringMatching(/completed|failed|cancelled/), input: known.submit.input });
    if (state.status !== 'cancelled') this.coverage.count(state.status === 'failed' ? 'failed' : 'completed');
    await this.reading.readAll(known, state.lastSeq);
    account.checkHistory(known, state.lastSeq, state.life ?? 1);
    expect(house.shared.rows.tasks.get(known.id)).toMatchObject({ status: state.status, lastSeq: state.lastSeq, fence: state.fence });
  }

  /** Files of the log that came and went. */
  private countFiles(): void {
    const files = this.house.disk.paths().filter((path) => /-\d{16}\.log$/.test(path));
    this.coverage.count('file begun', files.filter((path) => !this.files.includes(path)).length);
    this.coverage.count('file deleted', this.files.filter((path) => !files.includes(path)).length);
    this.files = files;
  }

  private async withRun(pick: number, act: (run: ReturnType<HandDrivenWork['run']>) => void): Promise<void> {
    const runs = [...this.work.runs.values()];
    if (runs.length > 0) act(runs[pick % runs.length]!);
    await this.house.run(0);
  }

  private async withTask(pick: number, act: (task: Known) => Promise<void>): Promise<void> {
    const tasks = [...this.account.known.values()];
    if (tasks.length > 0) await act(tasks[pick % tasks.length]!);
  }

  private settled<T>(promise: Promise<T>): Promise<T | Error> {
    return this.house.until(promise.catch((error: unknown) => error as Error));
  }
}
