import type { Clock, Timer } from '../contracts/clock.interface.js';

export interface LoopOptions {
  /** Pause between the end of one turn and the begin of the next. Unit: ms. */
  readonly intervalMs: number;
  /** One turn. Its signal aborts when the loop is asked to stop. */
  readonly turn: (signal: AbortSignal) => Promise<void> | void;
  /** A turn threw. The loop goes on with the next one. Must not throw. */
  readonly onError: (error: unknown) => void;
  /** Asked at each pause: must the process stay alive for the next turn? Default: never. */
  readonly keepsAlive?: () => boolean;
}

/** Work that is done again and again. Turns never overlap: the pause starts when a turn has ended. */
export class InterruptibleLoop {
  private timer: Timer | undefined;
  private running: Promise<void> | undefined;
  private abort: AbortController | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly options: LoopOptions,
  ) {}

  /** The first turn comes after one pause. Starting a started loop changes nothing. */
  start(): void {
    if (this.abort !== undefined) return;
    const abort = new AbortController();
    this.abort = abort;
    // A loop that was stopped and started while its last turn still runs waits for that turn.
    if (this.running === undefined) this.pause();
  }

  /** Has the next turn begin at once; while a turn runs it changes nothing, nor on a stopped loop. */
  wake(): void {
    if (this.timer === undefined) return;
    this.timer.cancel();
    this.begin();
  }

  /** No turn begins from here on. Resolves when the one that runs has ended. */
  async stop(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    this.abort?.abort();
    this.abort = undefined;
    await this.running;
  }

  private pause(): void {
    this.timer = this.clock.after(this.options.intervalMs, () => this.begin(), this.options.keepsAlive?.() ?? false);
  }

  private begin(): void {
    this.timer = undefined;
    const abort = this.abort;
    if (abort === undefined) return;
    // `then`, also for a turn that throws at once: the end of a turn always comes after its begin was noted.
    this.running = this.runTurn(abort.signal).then(() => this.ended());
  }

  private ended(): void {
    this.running = undefined;
    if (this.abort !== undefined) this.pause();
  }

  private async runTurn(signal: AbortSignal): Promise<void> {
    try {
      await this.options.turn(signal);
    } catch (error) {
      this.options.onError(error);
    }
  }
}
