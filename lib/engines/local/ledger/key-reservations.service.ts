import { nextKeyBase, type TaskState } from '../../../domain/task-state.js';
import { ValidationError } from '../../../errors/request.errors.js';
import { Deferred } from '../../../primitives/deferred.js';
import { Overlay } from './overlay.js';
import { TaskReader } from './task-reader.service.js';

/** The right to create the one task of a key. Its holder says what came of it, by one of the two. */
export interface KeyReservation {
  /** The ended task that has the key now, and gives it up in the same frame. */
  readonly replaced: TaskState | null;
  /** Of the new task. */
  readonly keyBase: number;
  /** The task is durable; or the one to be replaced came to life again: look anew. */
  created(): void;
  /** Nothing was created, or nobody knows. */
  failed(error: unknown): void;
}

export type FoundKey = { readonly existing: TaskState } | { readonly reservation: KeyReservation };

/** What the holder of a reservation found or met, for those who wait for him; undefined: look again. */
type Outcome = { readonly existing: TaskState } | { readonly error: unknown } | undefined;

/**
 * One task per key. Submits that come while another one holds the reservation of their key wait for that one, and share what it meets: a
 * task that was found or created, or the error. Were each to try anew, the n-th would wait n times as long as the database takes to fail.
 */
export class KeyReservations {
  private readonly reserved = new Map<string, Promise<Outcome>>();

  constructor(
    private readonly overlay: Overlay,
    private readonly reader: TaskReader,
  ) {}

  /**
   * The task that has the key, or the right to create it.
   * @param mayReplace whether this task may give its key to the new one; then it is `replaced`. Default: none may.
   * @throws RepositoryError when the database must be asked and does not answer; what the holder of the reservation failed with.
   */
  async resolve(scoped: string, mayReplace: (existing: TaskState) => boolean = () => false): Promise<FoundKey> {
    for (;;) {
      const head = this.overlay.findByKey(scoped);
      if (head !== undefined && head.durable !== null) {
        const existing = await this.reader.load(head.id);
        if (existing !== null && existing.supersededBy === null && !mayReplace(existing)) return { existing };
      }
      const earlier = this.reserved.get(scoped);
      if (earlier === undefined) return this.lookUp(scoped, mayReplace);
      const outcome = await earlier;
      if (outcome === undefined) continue;
      if ('error' in outcome) throw outcome.error;
      if (!mayReplace(outcome.existing)) return outcome;
    }
  }

  /** As `resolve`, for many keys: their reservations are taken all at once or waited for with none in hand, so that two calls never wait for each other. */
  async resolveMany(keys: readonly string[], mayReplace: (scoped: string, existing: TaskState) => boolean): Promise<Map<string, FoundKey>> {
    for (let busy = this.busyOf(keys); busy !== undefined; busy = this.busyOf(keys)) {
      const outcome = await busy;
      if (outcome !== undefined && 'error' in outcome) throw outcome.error;
    }
    const found = await Promise.allSettled(keys.map((scoped) => this.lookUp(scoped, (existing) => mayReplace(scoped, existing))));
    const failed = found.find((each) => each.status === 'rejected');
    if (failed === undefined) return new Map(found.map((each, at) => [keys[at]!, (each as PromiseFulfilledResult<FoundKey>).value]));
    for (const each of found) if (each.status === 'fulfilled' && 'reservation' in each.value) each.value.reservation.failed(failed.reason);
    throw failed.reason;
  }

  private busyOf(keys: readonly string[]): Promise<Outcome> | undefined {
    const busy = keys.find((scoped) => this.reserved.has(scoped));
    return busy === undefined ? undefined : this.reserved.get(busy);
  }

  private async lookUp(scoped: string, mayReplace: (existing: TaskState) => boolean): Promise<FoundKey> {
    const settle = this.reserve(scoped);
    try {
      const existing = await this.reader.findByKey(scoped);
      if (existing !== null && !mayReplace(existing)) {
        settle({ existing });
        return { existing };
      }
      const keyBase = existing === null ? await this.reader.keyBaseOf(scoped) : nextKeyBase(existing);
      const settled = { created: () => settle(undefined), failed: (error: unknown) => settle(sharedFailure(error)) };
      return { reservation: { replaced: existing, keyBase, ...settled } };
    } catch (error) {
      settle({ error });
      throw error;
    }
  }

  private reserve(scoped: string): (outcome: Outcome) => void {
    const { promise, resolve } = new Deferred<Outcome>();
    this.reserved.set(scoped, promise);
    return (outcome) => {
      this.reserved.delete(scoped);
      resolve(outcome);
    };
  }
}

/** What is wrong with one caller's own input says nothing of another's: the next one takes the reservation over. */
const sharedFailure = (error: unknown): Outcome => (ValidationError.is(error) ? undefined : { error });
