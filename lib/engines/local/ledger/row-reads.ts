/** One read of a row, from its question to the moment at which its answer is used. */
export interface RowRead {
  /** The task was in memory meanwhile, and left it again: the row may be of before that. */
  readonly isOvertaken: boolean;
  end(): void;
}

/**
 * Reads of rows that are to become heads. A row that was read before its task ran, and arrives after what the task did was flushed,
 * would be taken for the newest state, and appended to.
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
