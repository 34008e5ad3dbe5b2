import { RepositoryError } from '../errors/storage.errors.js';

import { outsideRequests } from './async-context.js';

interface Waiting<V> {
  readonly key: string;
  resolve(value: V | null): void;
  reject(error: unknown): void;
}

/**
 * Single look-ups, made many at a time: those that arrive in one turn of the loop, or while a batch is under way, share the next one.
 * While the database does not answer, all that wait fail with the batch that found out: one after the other they would wait for hours.
 */
export class BatchedLookup<V> {
  private waiting: Waiting<V>[] = [];
  private running = false;

  constructor(
    private readonly find: (keys: readonly string[]) => Promise<ReadonlyMap<string, V>>,
    private readonly maxBatch: number,
  ) {}

  get(key: string): Promise<V | null> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ key, resolve, reject });
      if (this.running) return;
      this.running = true;
      outsideRequests(setImmediate, () => void this.drain());
    });
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.maxBatch);
      try {
        const found = await this.find([...new Set(batch.map((each) => each.key))]);
        for (const each of batch) each.resolve(found.get(each.key) ?? null);
      } catch (error) {
        const refused = isAway(error) ? [...batch, ...this.waiting.splice(0)] : batch;
        for (const each of refused) each.reject(error);
      }
    }
    this.running = false;
  }
}

const isAway = (error: unknown): boolean => RepositoryError.is(error) && error.code === 'UNAVAILABLE';
