/** Hands values to `for await`, in order. Whoever fills it waits while it is full. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  private readonly values: T[] = [];
  private readonly takers: ((result: IteratorResult<T, undefined>) => void)[] = [];
  private isEnded = false;
  private onTaken: (() => void) | undefined;

  constructor(
    private readonly capacity: number,
    private readonly onReturn: () => void,
  ) {}

  push(value: T): void {
    const taker = this.takers.shift();
    if (taker === undefined) this.values.push(value);
    else taker({ done: false, value });
  }

  /** Nothing more comes; what is there can still be taken. */
  end(): void {
    this.isEnded = true;
    this.onTaken?.();
    for (const taker of this.takers.splice(0)) taker({ done: true, value: undefined });
  }

  /** Resolves when there is room. */
  room(): Promise<void> | undefined {
    if (this.isEnded || this.values.length < this.capacity) return undefined;
    return new Promise((resolve) => (this.onTaken = resolve));
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.values.length > 0) {
      const value = this.values.shift() as T;
      this.onTaken?.();
      return Promise.resolve({ done: false, value });
    }
    if (this.isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.takers.push(resolve));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.values.length = 0;
    this.end();
    this.onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
