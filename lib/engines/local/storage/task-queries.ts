import type { TaskQuery } from '../../../contracts/task-queries.interface.js';
import { isWhole } from './rejected/quarantined-tasks.js';
import type { RowReader, Statement } from '../../../repository/sql-session.interface.js';
import { taskColumns } from '../../../repository/task-row.mapper.js';

/** Rows that need no folding, newest first. Dead letters by when they failed, everything else by when it was created. */
export function listStatement(session: RowReader, query: TaskQuery): Statement {
  const conditions: string[] = [isWhole(session)];
  const parameters: unknown[] = [];
  const where = (condition: string, ...values: unknown[]): void => {
    conditions.push(condition);
    parameters.push(...values);
  };
  const orderBy = query.deadLetteredSince === undefined ? '"created_at"' : '"dead_lettered_at"';
  if (query.deadLetteredSince !== undefined) where('"dead_lettered_at" >= ?', query.deadLetteredSince);
  if (query.userId !== undefined) {
    if (query.userId === null) where('"user_id" IS NULL');
    else where('"user_id" = ?', query.userId);
  }
  if (query.status !== undefined) where('"status" = ?', query.status);
  if (query.name !== undefined) where('"name" = ?', query.name);
  if (query.tag !== undefined) where(session.dialect.contains('"tags"'), query.tag);
  if (query.after !== undefined) where(`(${orderBy}, "id") < (?, ?)`, query.after.at, query.after.id);
  parameters.push(query.limit);
  return {
    sql: `SELECT ${taskColumns(session.dialect)} FROM ${session.tables.tasks} AS t WHERE ${conditions.join(' AND ')} ORDER BY ${orderBy} DESC, "id" DESC LIMIT ?`,
    parameters,
  };
}
