/** What the steps of all runs brought about. A random test that never meets what it is about proves nothing. */
export const EFFECTS = [
  'acknowledged',
  'delayed',
  'duplicate',
  'conflict',
  'run',
  'progress',
  'failed',
  'completed',
  'cancelled',
  'crash',
  'crash in a burst',
  'restart',
  'recovered',
  'database away',
  'database back',
  'start without the database',
  'refused',
  'file begun',
  'file deleted',
  'disk full',
  'log failed',
  'task pruned',
  'live event',
  'resumed event',
  'event after a stall',
  'stall beyond the buffer',
  'dead letter retried',
] as const;
export type Effect = (typeof EFFECTS)[number];

export class Coverage {
  private readonly counts = new Map<Effect, number>(EFFECTS.map((effect) => [effect, 0]));

  count(effect: Effect, times = 1): void {
    this.counts.set(effect, this.counts.get(effect)! + times);
  }

  get missing(): Effect[] {
    return EFFECTS.filter((effect) => this.counts.get(effect) === 0);
  }

  toString(): string {
    return EFFECTS.map((effect) => `${effect} ${this.counts.get(effect)}`).join(', ');
  }
}
