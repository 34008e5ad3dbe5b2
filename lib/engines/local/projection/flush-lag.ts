/** Memory of one log: samples, not entries. */
const MAX_SAMPLES = 512;
/** Frames closer together than this are one sample, while there are few. */
const FINEST_GRAIN_MS = 50;

/**
 * Age of the oldest durable entry that the database lacks. Keeps when the durable head was where, coarser as the backlog
 * grows: the answer is never too small, and too large by the distance of two samples at most.
 */
export class FlushLag {
  /** Entries behind `afterSeqs[i]` became durable at `times[i]` (monotonic ms) or later. */
  private readonly afterSeqs: number[] = [];
  private readonly times: number[] = [];
  private headSeq = 0;
  private grainMs = FINEST_GRAIN_MS;

  /** The durable head at the start. `backlogAt`: of an entry that the database lacks, if it lacks any. */
  begin(headSeq: number, backlogAt: number | undefined): void {
    this.headSeq = headSeq;
    if (backlogAt === undefined) return;
    this.afterSeqs.push(0);
    this.times.push(backlogAt);
  }

  /** The backlog of the start turned out to be older. No effect once it is in the database. */
  backlogSince(at: number): void {
    if (this.afterSeqs[0] === 0) this.times[0] = at;
  }

  durable(seq: number, at: number): void {
    const lastAt = this.times.at(-1);
    if (lastAt === undefined || at - lastAt >= this.grainMs) {
      if (this.times.length >= MAX_SAMPLES) this.thinOut();
      this.afterSeqs.push(this.headSeq);
      this.times.push(at);
    }
    this.headSeq = seq;
  }

  applied(seq: number): void {
    let gone = 0;
    // All that the first sample speaks of is in the database when the second one begins there.
    while (gone + 1 < this.afterSeqs.length && (this.afterSeqs[gone + 1] ?? 0) <= seq) gone++;
    if (seq >= this.headSeq) {
      gone = this.afterSeqs.length;
      this.grainMs = FINEST_GRAIN_MS;
    }
    this.afterSeqs.splice(0, gone);
    this.times.splice(0, gone);
  }

  /** Unit: ms; 0 when the database holds everything. */
  lagMs(now: number): number {
    const oldestAt = this.times[0];
    return oldestAt === undefined ? 0 : now - oldestAt;
  }

  private thinOut(): void {
    // Later samples as far apart as the ones that stay, or the oldest would thin out at every turn.
    this.grainMs *= 2;
    const kept = Math.ceil(this.times.length / 2);
    for (let at = 0; at < kept; at++) {
      this.afterSeqs[at] = this.afterSeqs[at * 2] ?? 0;
      this.times[at] = this.times[at * 2] ?? 0;
    }
    this.afterSeqs.length = kept;
    this.times.length = kept;
  }
}
