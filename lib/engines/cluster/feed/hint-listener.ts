import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { HintConnection } from '../storage/hint-connection.js';
import type { HintReceiver, Hints } from './hints.js';

export interface HintListenerParts {
  /** Connects and listens. `onEnd` is called once when the connection is gone. */
  readonly connect: (onHint: (payload: string) => void, onEnd: () => void) => Promise<HintConnection>;
  readonly hints: Hints;
  readonly receiver: HintReceiver;
  readonly clock: Clock;
  readonly logger: LoggerService;
  readonly isWanted: boolean;
}

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
/** How often the connection is shown to carry hints: behind a pooler it may stand, and carry none. Unit: ms. */
const PROBE_MS = 5_000;
/** A hint to oneself that does not come within this time says that none do. Unit: ms. */
const PROBE_LIMIT_MS = 2_000;

/**
 * Listens for hints where that works. Whether it does is found by a hint to oneself: a pooler in transaction mode takes the LISTEN, and gives
 * the connection to others. Where none come, the node polls.
 */
export class HintListener {
  private connection: HintConnection | undefined;
  private isStopped = false;
  private pauseMs = FIRST_PAUSE_MS;
  private heard = false;
  private isProven = false;
  private nonce = 0;
  private wakeUp: (() => void) | undefined;

  constructor(private readonly parts: HintListenerParts) {}

  /** Hints arrive. */
  get isListening(): boolean {
    return this.isProven;
  }

  start(): void {
    if (this.parts.isWanted) void this.keep();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.wakeUp?.();
    await this.connection?.close().catch(() => undefined);
  }

  private async keep(): Promise<void> {
    while (!this.isStopped) {
      try {
        await this.listen();
      } catch (error) {
        this.parts.logger.debug?.(`Hints of other nodes cannot be heard: ${String(error)}`);
      }
      this.isProven = false;
      await this.pause(this.pauseMs);
      this.pauseMs = Math.min(this.pauseMs * 2, MAX_PAUSE_MS);
    }
  }

  /** Returns when the connection is gone, or carries nothing. */
  private async listen(): Promise<void> {
    let hasEnded = false;
    const connection = await this.parts.connect(
      (payload) => this.received(payload),
      () => {
        hasEnded = true;
        this.wakeUp?.();
      },
    );
    this.connection = connection;
    try {
      while (!this.isStopped && !hasEnded) {
        this.heard = false;
        const probe = `p:${++this.nonce}`;
        await connection.notify(probe);
        await this.pause(PROBE_LIMIT_MS, () => this.heard);
        if (!this.heard) return;
        this.proven();
        await this.pause(PROBE_MS);
      }
    } finally {
      this.connection = undefined;
      await connection.close().catch(() => undefined);
    }
  }

  private proven(): void {
    if (this.isProven) return;
    this.isProven = true;
    this.pauseMs = FIRST_PAUSE_MS;
    // What was said while nobody listened is looked for once.
    this.parts.receiver.work();
    this.parts.receiver.cancels([]);
  }

  private received(payload: string): void {
    this.heard = true;
    if (payload.startsWith('p:')) this.wakeUp?.();
    else this.parts.hints.received(payload, this.parts.receiver);
  }

  private pause(ms: number, isOver: () => boolean = () => false): Promise<void> {
    if (this.isStopped || isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.parts.clock.after(ms, () => this.wakeUp?.());
      this.wakeUp = () => {
        this.wakeUp = undefined;
        timer.cancel();
        resolve();
      };
    });
  }
}
