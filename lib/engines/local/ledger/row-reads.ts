/** One read of a row, from its question to the moment at which its answer is used. */
export interface RowRead {
  /** The task was in memory meanwhile, and left it again: the row may be of before that. */
  readonly isOvertaken: boolean;
  end(): void;
}

/**
 * Detects stale reads of rows. Timeline: a row is queried; its task runs, is flushed and leaves memory; the old row arrives. Without this
 * check the old row would be adopted as the newest state, and appended to.
 */
export class RowReads {
  private readonly underWay = new Map<string, Set<{ isOvertaken: boolean }>>();

  begin(id: string): RowRead {
    const reads = this.underWay.get(id) ?? new Set();
    this.underWay.set(id, reads);
    const read = {
      isOvertaken: false,
      end: (): void => {
        reads.delete(read);
        if (reads.size === 0 && this.underWay.get(id) === reads) this.underWay.delete(id);
      },
    };
    reads.add(read);
    return read;
  }

  /** The head of a task was let go of. */
  left(id: string): void {
    if (this.underWay.size === 0) return;
    for (const read of this.underWay.get(id) ?? []) read.isOvertaken = true;
  }
}
