/** A member as one read of the table showed it. */
export interface SeenMember {
  readonly id: string;
  readonly beat: number;
}

interface Standstill {
  beat: number;
  /** Monotonic: when the answer came that first showed this beat. */
  since: number;
}

/**
 * Who has stopped beating, by this node's own monotonic clock alone. A member counts as dead when every read of a whole TTL showed the same
 * beat, and no read failed or was late in between: a database that was away stops the beats of everybody, and proves nothing.
 */
export class MemberWatch {
  private readonly members = new Map<string, Standstill>();
  private lastAnswerAt: number | undefined;

  /** @param maxPauseMs between an answer and the next question; a longer pause begins every observation anew. */
  constructor(
    private readonly ttlMs: number,
    private readonly maxPauseMs: number,
  ) {}

  /**
   * @param askedAt monotonic, before the read was sent. @param answeredAt monotonic, after its answer came.
   * @returns the members that may be removed, each only if its beat is still the one given.
   */
  observe(seen: readonly SeenMember[], askedAt: number, answeredAt: number): SeenMember[] {
    const paused = this.lastAnswerAt === undefined || answeredAt - this.lastAnswerAt > this.maxPauseMs;
    this.lastAnswerAt = answeredAt;
    if (paused) this.members.clear();
    const present = new Set(seen.map(({ id }) => id));
    for (const id of this.members.keys()) if (!present.has(id)) this.members.delete(id);
    return seen.filter(({ id, beat }) => this.isDead(id, beat, askedAt, answeredAt));
  }

  /** A read failed. */
  interrupted(): void {
    this.lastAnswerAt = undefined;
  }

  private isDead(id: string, beat: number, askedAt: number, answeredAt: number): boolean {
    const known = this.members.get(id);
    if (known === undefined || known.beat !== beat) {
      this.members.set(id, { beat, since: answeredAt });
      return false;
    }
    return askedAt - known.since >= this.ttlMs;
  }
}
