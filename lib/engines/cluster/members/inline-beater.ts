import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import type { Beater, BeatSender } from './beater.interface.js';

/** A beat that failed is sent again after this long: the database may be back. Unit: ms. */
const AGAIN_MS = 200;
/** Every interval is drawn from 0.9 to 1.1 of the mean, so that nodes that start together do not beat together. */
const JITTER = 0.1;

/** Beats from this event loop, at a steady rhythm; after a failure at a fast one, each time over a fresh connection. */
export class InlineBeater implements Beater {
  onNews: (() => void) | undefined;
  private me: string | undefined;
  private sentAt: number | undefined;
  private reaped = false;
  private draining = false;
  private timer: Timer | undefined;
  private underWay: Promise<void> | undefined;
  private isAskedFor = false;

  constructor(
    private readonly sender: BeatSender,
    private readonly clock: Clock,
    private readonly intervalMs: number,
    private readonly random: () => number,
  ) {}

  get lastSentAt(): number | undefined {
    return this.sentAt;
  }

  get isReaped(): boolean {
    return this.reaped;
  }

  begin(me: string): void {
    this.me = me;
    this.sentAt = undefined;
    this.reaped = false;
    this.beatNow();
  }

  drain(): void {
    this.draining = true;
    this.beatNow();
  }

  beatNow(): void {
    this.isAskedFor = true;
    if (this.underWay !== undefined || this.me === undefined) return;
    this.timer?.cancel();
    this.isAskedFor = false;
    this.underWay = this.beat(this.me).then((isGood) => this.next(isGood));
  }

  async end(): Promise<void> {
    this.me = undefined;
    this.timer?.cancel();
    await this.underWay;
  }

  private async beat(me: string): Promise<boolean> {
    const sentAt = this.clock.monotonic();
    try {
      const answer = await this.sender.beat(me, this.draining);
      if (me === this.me && answer !== undefined) {
        if (answer.alive) this.sentAt = sentAt;
        else this.reaped = true;
      }
      return true;
    } catch {
      this.sender.renew();
      return false;
    } finally {
      this.onNews?.();
    }
  }

  private next(isGood: boolean): void {
    this.underWay = undefined;
    if (this.me === undefined || this.reaped) return;
    if (this.isAskedFor && isGood) return this.beatNow();
    const meanMs = isGood ? this.intervalMs * (1 + JITTER * (2 * this.random() - 1)) : AGAIN_MS;
    this.timer = this.clock.after(meanMs, () => this.beatNow());
  }
}
