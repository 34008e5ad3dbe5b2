import type { FlushBatch, FlushCursor } from '../../../contracts/task-store.interface.js';
import { CursorMovedError, FencedWriterError } from './flush.errors.js';
import type { RowReader, SqlSession } from '../../../repository/sql-session.interface.js';

export async function readCursor(session: RowReader, logId: string, lock = false): Promise<FlushCursor | null> {
  const sql = `SELECT "gen", "applied_seq", "applied_crc", "owner_gen" FROM ${session.tables.cursor} WHERE "log_id" = ?${lock ? session.dialect.rowLock : ''}`;
  const row = (await session.rows(sql, [logId]))[0];
  if (row === undefined) return null;
  return {
    logId,
    gen: Number(row['gen']),
    appliedSeq: Number(row['applied_seq']),
    appliedCrc: row['applied_crc'] as string,
    ownerGen: Number(row['owner_gen']),
  };
}

/** @throws FencedWriterError, CursorMovedError. */
export function requireUnmoved(stored: FlushCursor | null, batch: FlushBatch): void {
  const { logId, from, to } = batch;
  if (stored !== null && stored.ownerGen > to.ownerGen) throw new FencedWriterError(logId, to.ownerGen, stored.ownerGen);
  const moved =
    stored === null || from === null
      ? stored !== from
      : stored.gen !== from.gen || stored.appliedSeq !== from.appliedSeq || stored.appliedCrc !== from.appliedCrc;
  // A cursor that would run backwards is a batch for another position, too.
  if (moved || (stored !== null && to.appliedSeq < stored.appliedSeq)) throw new CursorMovedError(logId, stored, from);
}

/** Compare-and-set: also where the row is not locked, as when there was none. */
export async function moveCursor(session: SqlSession, batch: FlushBatch): Promise<void> {
  const { from, to } = batch;
  const table = session.tables.cursor;
  if (from === null) {
    await session.run(`INSERT INTO ${table} ("log_id", "gen", "applied_seq", "applied_crc", "owner_gen") VALUES (?, ?, ?, ?, ?)`, [
      to.logId,
      to.gen,
      to.appliedSeq,
      to.appliedCrc,
      to.ownerGen,
    ]);
    return;
  }
  const moved = await session.run(
    `UPDATE ${table} SET "gen" = ?, "applied_seq" = ?, "applied_crc" = ?, "owner_gen" = ? WHERE "log_id" = ? AND "gen" = ? AND "applied_seq" = ? AND "owner_gen" <= ?`,
    [to.gen, to.appliedSeq, to.appliedCrc, to.ownerGen, to.logId, from.gen, from.appliedSeq, to.ownerGen],
  );
  if (moved !== 1) throw new CursorMovedError(batch.logId, await readCursor(session, batch.logId), from);
}

/** After a repair: the same entries in frames that were written again. @throws CursorMovedError when it is not where it was. */
export async function replaceCursor(session: SqlSession, from: FlushCursor, to: FlushCursor): Promise<void> {
  const moved = await session.run(
    `UPDATE ${session.tables.cursor} SET "gen" = ?, "applied_seq" = ?, "applied_crc" = ? WHERE "log_id" = ? AND "applied_seq" = ? AND "applied_crc" = ?`,
    [to.gen, to.appliedSeq, to.appliedCrc, to.logId, from.appliedSeq, from.appliedCrc],
  );
  if (moved !== 1) throw new CursorMovedError(to.logId, await readCursor(session, to.logId), from);
}
