/** Work on one thing at a time, in order: what comes while other work on the same key is under way waits for its end. */
export class KeyedTurns {
  private readonly last = new Map<string, Promise<unknown>>();

  /** Begins at once, in the caller's turn, where nothing of that key is under way. */
  inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(key);
    const result = before === undefined ? work() : before.then(work, work);
    this.last.set(key, result);
    const ended = (): void => {
      if (this.last.get(key) === result) this.last.delete(key);
    };
    result.then(ended, ended);
    return result;
  }
}
