/** Where a queue counts its tasks of each user, so that submits can be asked whether there is room. */
export interface WaitingTally {
  /** @param isUnasked they came to wait without being asked whether there is room. Must be the same when they leave. */
  change(userId: string | null, by: number, isUnasked?: boolean): void;
}
export interface WaitingTallies {
  /** For a slot, now. */
  readonly queued: WaitingTally;
  /** For a time. */
  readonly delayed: WaitingTally;
}
