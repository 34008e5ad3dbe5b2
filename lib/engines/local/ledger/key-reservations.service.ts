import { Inject, Injectable } from '@nestjs/common';
import type { TaskState } from '../../../domain/task-state.js';
import { Overlay } from './overlay.js';
import { TaskReader } from './task-reader.service.js';

/** The right to create the one task of a key. Release it once the append was answered, whatever the answer. */
export interface KeyReservation {
  release(): void;
}

/**
 * One task per key. A second submit of a reserved key waits for the first one's sync; if that append is refused, it takes the
 * reservation over.
 */
@Injectable()
export class KeyReservations {
  private readonly reserved = new Map<string, Promise<void>>();

  constructor(
    @Inject(Overlay) private readonly overlay: Overlay,
    @Inject(TaskReader) private readonly reader: TaskReader,
  ) {}

  /** The task that has the key, or the right to create it. @throws RepositoryError when the database must be asked and does not answer. */
  async resolve(scoped: string): Promise<{ existing: TaskState } | { reservation: KeyReservation }> {
    for (;;) {
      const head = this.overlay.findByKey(scoped);
      if (head !== undefined && head.durable !== null) {
        const existing = await this.reader.load(head.id);
        if (existing !== null) return { existing };
      }
      const earlier = this.reserved.get(scoped);
      if (earlier !== undefined) {
        await earlier;
        continue;
      }
      const reservation = this.reserve(scoped);
      try {
        const existing = await this.reader.findByKey(scoped);
        if (existing === null) return { reservation };
        reservation.release();
        return { existing };
      } catch (error) {
        reservation.release();
        throw error;
      }
    }
  }

  private reserve(scoped: string): KeyReservation {
    let done!: () => void;
    this.reserved.set(scoped, new Promise((resolve) => (done = resolve)));
    return {
      release: () => {
        this.reserved.delete(scoped);
        done();
      },
    };
  }
}
