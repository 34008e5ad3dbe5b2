import type { FlushCursor } from '../../../contracts/task-store.interface.js';

/** The stored cursor is not where this writer left it: it must read it again. Nothing was written. */
export class CursorMovedError extends Error {
  constructor(
    readonly logId: string,
    readonly stored: FlushCursor | null,
    readonly expected: FlushCursor | null,
  ) {
    super(`Cursor of log ${logId}: the database holds ${positionOf(stored)}, the batch starts after ${positionOf(expected)}.`);
    this.name = 'CursorMovedError';
  }
}

/** A newer process of the same log has written: this writer must end. Nothing was written. */
export class FencedWriterError extends Error {
  constructor(
    readonly logId: string,
    readonly ownerGen: number,
    readonly newerGen: number,
  ) {
    super(`Log ${logId}: generation ${newerGen} writes now, ${ownerGen} must end.`);
    this.name = 'FencedWriterError';
  }
}

const positionOf = (cursor: FlushCursor | null): string =>
  cursor === null ? 'nothing' : `${cursor.gen}/${cursor.appliedSeq} (${cursor.appliedCrc})`;
