import type { ShapedEntry } from './shaped-entry.js';
import type { StreamCursor } from './stream-cursor.js';

/** Pulls a cursor's entries, at the reader's own pace. One call of `next` at a time. */
export class CursorReader {
  private signalled: (() => void) | undefined;

  constructor(private readonly cursor: StreamCursor) {
    cursor.onWake = () => this.signalled?.();
  }

  get position(): number {
    return this.cursor.position;
  }

  /** Undefined: the stream is over, or was closed or cut. @throws StreamOverflowError, NotFoundError */
  async next(): Promise<ShapedEntry | undefined> {
    for (;;) {
      const entry = this.cursor.take();
      if (entry !== undefined) return entry;
      const state = this.cursor.state;
      if (state === 'ended' || state === 'cut') return undefined;
      if (state === 'behind') await this.cursor.catchUp();
      else await new Promise<void>((resolve) => (this.signalled = resolve));
    }
  }

  /** Ends a `next` that waits; twice is once. */
  close(): void {
    this.cursor.close();
    this.signalled?.();
  }
}
