import type { LoggerService } from '@nestjs/common';
import { Worker } from 'node:worker_threads';
import type { RepositoryOptions } from '../../../config/repository.options.js';
import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import { BeatBoard } from './beat-board.js';
import { type BeatOrder, type BeatThreadData, type BeatThreadNews, withPassword } from './beat-protocol.js';
import { BEAT_WORKER_FILE } from './beat-worker-file.cjs';
import type { Beater } from './beater.interface.js';

export interface ThreadBeaterParts {
  readonly repository: RepositoryOptions;
  readonly intervalMs: number;
  readonly maxBlockedMs: number;
  readonly clock: Clock;
  readonly logger: LoggerService;
  /** For where no thread can be had. */
  readonly inline: () => Beater;
}

/** How often the main event loop shows that it turns. Unit: ms. */
const PULSE_MS = 250;
/** A loop that stood still for longer is told of. Unit: ms. */
const TOLD_MS = 2_000;

/**
 * Beats from a thread of its own, over a connection of its own: a handler that computes for seconds blocks the event loop, and is no reason
 * to run its task twice. Where the options cannot cross to a thread, or a bundle lacks its file, the event loop beats.
 */
export class ThreadBeater implements Beater {
  onNews: (() => void) | undefined;
  private readonly board = new BeatBoard();
  private worker: Worker | undefined;
  private fallback: Beater | undefined;
  private pulse: Timer | undefined;
  private pulsedAt: number;
  private me: string | undefined;
  private incarnation = 0;
  private isDraining = false;

  constructor(private readonly parts: ThreadBeaterParts) {
    this.pulsedAt = parts.clock.monotonic();
  }

  get lastSentAt(): number | undefined {
    if (this.fallback !== undefined) return this.fallback.lastSentAt;
    return this.board.sentAt;
  }

  get isReaped(): boolean {
    return this.fallback?.isReaped ?? this.board.isReaped;
  }

  begin(me: string): void {
    this.me = me;
    if (this.worker === undefined && this.fallback === undefined) this.start();
    if (this.fallback !== undefined) return this.fallback.begin(me);
    this.board.incarnation = ++this.incarnation;
    this.tell({ kind: 'begin', me, incarnation: this.incarnation });
  }

  beatNow(): void {
    if (this.fallback === undefined) this.tell({ kind: 'beat' });
    else this.fallback.beatNow();
  }

  drain(): void {
    this.isDraining = true;
    if (this.fallback === undefined) this.tell({ kind: 'drain' });
    else this.fallback.drain();
  }

  async end(): Promise<void> {
    this.me = undefined;
    this.pulse?.cancel();
    const { worker } = this;
    this.worker = undefined;
    await this.fallback?.end();
    await worker?.terminate();
  }

  private start(): void {
    const { parts } = this;
    const given = cloneable(parts.repository);
    if (given === undefined) return this.beatHere('its options cannot cross to another thread');
    const { intervalMs, maxBlockedMs } = parts;
    const workerData: BeatThreadData = { ...given, memory: this.board.memory, intervalMs, maxBlockedMs };
    const worker = new Worker(BEAT_WORKER_FILE, { workerData, name: 'taskflow-beat' });
    this.worker = worker;
    worker.unref();
    worker.on('message', (news: BeatThreadNews) => {
      if (news.kind === 'news') this.onNews?.();
      else void this.answerPassword();
    });
    worker.on('error', (error) => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      this.beatHere(error.message);
    });
    this.beatOn();
  }

  private beatHere(why: string): void {
    this.parts.logger.debug?.(`Beats leave from the event loop, not from a thread of their own: ${why}`);
    this.fallback = this.parts.inline();
    this.fallback.onNews = () => this.onNews?.();
    if (this.me !== undefined) this.fallback.begin(this.me);
    if (this.isDraining) this.fallback.drain();
  }

  private beatOn(): void {
    const { clock, logger } = this.parts;
    const now = clock.monotonic();
    const standstillMs = Math.round(now - this.pulsedAt - PULSE_MS);
    this.pulsedAt = now;
    this.tell({ kind: 'pulse', now });
    if (standstillMs > TOLD_MS)
      logger.warn(
        `The event loop stood still for ${standstillMs} ms. Its runs go on; a handler that computes belongs into a worker thread.`,
      );
    this.pulse = clock.after(PULSE_MS, () => this.beatOn());
  }

  private async answerPassword(): Promise<void> {
    const { repository } = this.parts;
    const given = (repository.connector ?? repository) as { readonly password?: unknown };
    try {
      const password: unknown = typeof given.password === 'function' ? await (given.password as () => unknown)() : given.password;
      this.tell({ kind: 'password', password: String(password) });
    } catch (error) {
      this.parts.logger.warn(`The password for the beats of this node could not be had: ${String(error)}`);
      this.tell({ kind: 'password', password: '' });
    }
  }

  private tell(order: BeatOrder): void {
    this.worker?.postMessage(order);
  }
}

/** What a thread can be given of the options; undefined: they hold functions or objects that only this thread has. */
function cloneable(repository: RepositoryOptions): Pick<BeatThreadData, 'repository' | 'asksForPassword'> | undefined {
  const connector = repository.connector as Record<string, unknown> | undefined;
  const { password } = connector ?? repository;
  const asksForPassword = typeof password === 'function';
  const bare = asksForPassword ? withPassword(repository, undefined) : repository;
  try {
    return { repository: structuredClone(bare), asksForPassword };
  } catch {
    return undefined;
  }
}
