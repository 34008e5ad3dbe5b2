import { v7 } from 'uuid';
import type { IdSource } from '../contracts/clock.interface.js';
import { idOf } from './uuid-words.js';

/** Ids and chance of the machine. */
export class SystemIdSource implements IdSource {
  /** The id as it is made; its text is one flat string then, where the package gives a chain of twenty. */
  private readonly bytes = new Uint8Array(16);
  private readonly words = new DataView(this.bytes.buffer);

  /** The package counts up within a millisecond and holds its last one when the wall clock steps back: monotonic in this process. */
  uuid(): string {
    v7(undefined, this.bytes);
    const { words } = this;
    return idOf(words.getUint32(0), words.getUint32(4), words.getUint32(8), words.getUint32(12));
  }
  random(): number {
    return Math.random();
  }
}
