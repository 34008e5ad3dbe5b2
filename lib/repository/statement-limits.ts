import { type DatabaseTarget, givenTo } from './database-target.js';
import type { DatabaseRole } from './repository.ports.js';

/** How long connecting may take, with the questions that TypeORM asks then. */
export const OPEN_LIMIT_MS = 15_000;
/** A migration waits for that of another process, and may build an index on a large table. */
export const MIGRATION_LIMIT_MS = 600_000;
/** What one caller waits for, with everything before the statement: a turn, a connection. */
export const CALL_LIMIT_MS = 10_000;

/** A server that lives ends a statement itself, well before we take it for silent: then the connection is as good as before. */
const AT_SERVER_MS: Readonly<Record<DatabaseRole, number>> = { reader: 8_000, writer: 15_000, confirm: 8_000, node: 8_000 };
/** What an answer may take beyond that. */
const GRACE_MS = 3_000;

export interface StatementLimits {
  /** `statement_timeout`: what the user set, or ours. */
  readonly atServerMs: number;
  /** Without an answer after that the connections are left. */
  readonly silentAfterMs: number;
}

export function statementLimits(target: DatabaseTarget, role: DatabaseRole): StatementLimits {
  const given = Number(givenTo('statement_timeout', target));
  const atServerMs = Number.isSafeInteger(given) && given > 0 ? given : AT_SERVER_MS[role];
  return { atServerMs, silentAfterMs: Math.max(atServerMs, AT_SERVER_MS[role]) + GRACE_MS };
}
