/** Sends the beats of one incarnation, from this event loop or from a thread of its own. */
export interface Beater {
  /** Begins to beat for this incarnation; what was begun before ends. */
  begin(me: string): void;
  /** Beats at once, beside the rhythm. */
  beatNow(): void;
  /** From now on each beat says that the node takes no more work. */
  drain(): void;
  /** When the newest good beat of the present incarnation was sent, on the monotonic clock of this node; undefined: none arrived yet. */
  readonly lastSentAt: number | undefined;
  /** An answer said that the incarnation is no member any more. */
  readonly isReaped: boolean;
  /** A beat was answered, or failed. Must not throw. */
  onNews: (() => void) | undefined;
  /** No beat is sent any more. Never rejects. */
  end(): Promise<void>;
}

/** How one beat is sent. Rejects with whatever went wrong; the next one goes over a fresh connection then. */
export interface BeatSender {
  /** Undefined: none is to be sent this time. */
  beat(me: string, draining: boolean): Promise<{ readonly alive: boolean } | undefined>;
  /** Lets go of the connection that failed. */
  renew(): void;
}
