import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Clock, IdSource, Timer } from '../../../contracts/clock.interface.js';
import type { Watermark } from '../../../contracts/event-log.interface.js';
import type { FlushCursor } from '../../../contracts/task-store.interface.js';
import { CoalescedSender } from './coalesced-sender.js';
import { failureReason } from './failure-reason.js';
import type { FlushNotice, LostWorker } from './flush-notice.js';
import type { Flusher, FlushListener } from './flusher.interface.js';
import { LastWords } from './last-words.js';
import { retryDelayMs } from './retry-delay.js';
import type { ParentMessage, WorkerConfig, WorkerMessage } from './worker/worker-protocol.js';
import { ALIVE_INTERVAL_MS, reviveHalt } from './worker/worker-protocol.js';

const WATERMARK_GAP_MS = 10;
/** Rounds of `ALIVE_INTERVAL_MS` without a word: 30 s. Rounds, not a time, so that a parent that stood still does not blame the worker. */
const SILENT_ROUNDS = 6;
const LONGEST_RESTART_MS = 30_000;
/** One death may be an accident; two in a row, with nothing done in between, are a worker that does not work. */
const FAILING_AFTER = 2;
const TELL_EVERY_MS = 60_000;

/** The part of a child process that is used here. */
export type WorkerProcess = Pick<ChildProcess, 'pid' | 'send' | 'kill' | 'on' | 'ref' | 'unref' | 'channel'> & {
  readonly stderr?: ChildProcess['stderr'];
};

export interface WorkerSupervisorParts {
  readonly fork: () => WorkerProcess;
  readonly clock: Clock;
  readonly ids: Pick<IdSource, 'random'>;
  readonly onNotice: (notice: FlushNotice) => void;
  readonly onLost: (lost: LostWorker) => void;
}

/**
 * Keeps one flush worker process alive, for ever: dead, it is replaced after a jittered backoff; silent for 30 s, it is
 * killed and replaced. The backoff starts over when a worker gets something done.
 */
export class WorkerSupervisor implements Flusher {
  private child: WorkerProcess | undefined;
  private listener: FlushListener | undefined;
  private watermark: Watermark = { segment: 0, byteOffset: 0, seq: 0 };
  /** One per worker: a message that a dead one never took must not hold up the next. */
  private watermarks: CoalescedSender<Watermark> | undefined;
  private appliedSeq = 0;
  private failures = 0;
  private restartCount = 0;
  private silentRounds = 0;
  private lastWords = new LastWords();
  private isHeard = false;
  private toldAt = 0;
  private timer: Timer | undefined;
  private isEnded = false;
  private onExit: (() => void) | undefined;
  private stopped: Promise<void> | undefined;

  constructor(
    private readonly config: WorkerConfig,
    private readonly parts: WorkerSupervisorParts,
  ) {}

  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  get restarts(): number {
    return this.restartCount;
  }

  get isFailing(): boolean {
    const isBehind = this.watermark.seq > this.appliedSeq;
    return this.failures >= FAILING_AFTER && (isBehind || !this.isHeard);
  }

  start(watermark: Watermark, listener: FlushListener): void {
    this.watermark = watermark;
    this.listener = listener;
    this.launch();
  }

  advance(watermark: Watermark): void {
    this.watermark = watermark;
    this.watermarks?.offer(watermark);
  }

  flushNow(watermark: Watermark): void {
    this.watermark = watermark;
    this.send({ type: 'flush', watermark });
  }

  stop(timeoutMs: number): Promise<void> {
    this.stopped ??= this.end(timeoutMs);
    return this.stopped;
  }

  private async end(timeoutMs: number): Promise<void> {
    this.isEnded = true;
    this.cancelTimer();
    this.watermarks?.close();
    const child = this.child;
    if (child === undefined) return;
    // From here on somebody waits for it.
    child.ref();
    const exited = new Promise<void>((resolve) => {
      this.onExit = resolve;
    });
    this.send({ type: 'stop' });
    this.timer = this.parts.clock.after(timeoutMs, () => child.kill('SIGKILL'), true);
    await exited;
    this.cancelTimer();
  }

  private launch(): void {
    let child: WorkerProcess;
    try {
      child = this.parts.fork();
    } catch (error) {
      this.relaunch(failureReason(error));
      return;
    }
    this.child = child;
    this.silentRounds = 0;
    this.isHeard = false;
    this.lastWords = new LastWords();
    const { lastWords } = this;
    child.stderr?.on('data', (chunk: Buffer) => {
      lastWords.heard(chunk);
      process.stderr.write(chunk);
    });
    this.watermarks = new CoalescedSender(this.parts.clock, WATERMARK_GAP_MS, this.sendWatermark, (_, later) => later);
    child.on('message', (message) => this.received(child, message as WorkerMessage));
    // Closed, not only exited: what it said last may come after its exit.
    child.on(child.stderr ? 'close' : 'exit', (code: number | null, signal: NodeJS.Signals | null) =>
      this.gone(child, signal ?? `exit code ${code}`),
    );
    child.on('error', (error) => {
      // Without a pid it never was. Otherwise it lives and cannot be talked to: it must be gone before another one starts.
      if (child.pid === undefined) this.gone(child, failureReason(error));
      else child.kill('SIGKILL');
    });
    // A worker must not keep a program alive that has nothing else to do.
    child.unref();
    child.channel?.unref();
    (child.stderr as Socket | null | undefined)?.unref();
    const loop = { ...this.config.loop, appliedAtLeast: Math.max(this.config.loop.appliedAtLeast, this.appliedSeq) };
    this.send({ type: 'start', config: { ...this.config, loop }, watermark: this.watermark });
    this.watchSilence(child);
  }

  private received(child: WorkerProcess, message: WorkerMessage): void {
    if (child !== this.child) return;
    this.silentRounds = 0;
    this.isHeard = true;
    if (message.type === 'report') {
      if (message.cursor !== undefined) this.reached(message.cursor, message.quarantined);
      this.listener?.breaker(message.breaker, message.reason);
      for (const notice of message.notices) this.parts.onNotice(notice);
    } else if (message.type === 'halted') {
      this.isEnded = true;
      this.listener?.halted(reviveHalt(message));
    }
  }

  private reached(cursor: FlushCursor, quarantined: number): void {
    // Only progress counts: a worker that dies of the same batch again and again also reports where it begins.
    if (cursor.appliedSeq > this.appliedSeq) this.failures = 0;
    this.appliedSeq = cursor.appliedSeq;
    this.listener?.applied(cursor, quarantined);
  }

  private watchSilence(child: WorkerProcess): void {
    this.cancelTimer();
    this.timer = this.parts.clock.after(ALIVE_INTERVAL_MS, () => {
      this.watchSilence(child);
      if (++this.silentRounds >= SILENT_ROUNDS) child.kill('SIGKILL');
    });
  }

  private gone(child: WorkerProcess, how: string): void {
    if (child !== this.child) return;
    this.child = undefined;
    this.watermarks?.close();
    this.cancelTimer();
    this.onExit?.();
    if (!this.isEnded) this.relaunch(how);
  }

  private relaunch(how: string): void {
    this.restartCount++;
    const inMs = retryDelayMs(++this.failures, LONGEST_RESTART_MS, this.parts.ids);
    this.cancelTimer();
    this.timer = this.parts.clock.after(inMs, () => this.launch());
    this.tell({ how, lastWords: this.lastWords.toString(), inARow: this.failures, inMs });
  }

  /** The first ones, then one a minute: a worker that cannot live dies again and again. */
  private tell(lost: LostWorker): void {
    const now = this.parts.clock.monotonic();
    if (lost.inARow > FAILING_AFTER && now - this.toldAt < TELL_EVERY_MS) return;
    this.toldAt = now;
    this.parts.onLost(lost);
  }

  private readonly sendWatermark = (watermark: Watermark, done: () => void): void => this.send({ type: 'watermark', watermark }, done);

  private send(message: ParentMessage, done: () => void = ignore): void {
    // One that could not be started for want of descriptors has no channel, and not even `send`; its error is on the way.
    if (this.child?.pid === undefined) return done();
    // An error here means that the worker is going: its exit says the same.
    this.child.send(message, () => done());
  }

  private cancelTimer(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }
}

const ignore = (): void => undefined;
