import { constants } from 'node:os';
import { RepositoryError } from '../errors/storage.errors.js';

/** Socket errors of Node, and what `pg` says when a connection breaks without one. */
const CONNECTION_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const LOST_CONNECTION =
  /connection (terminated|timeout|ended)|timeout exceeded when trying to connect|not queryable|Client was closed|Driver not Connected/i;
/** Errors that are about the row, and come again whenever it is written: PostgreSQL classes 22 and 23, and their SQLite cousins. */
const SQLITE_DATA_CODES: ReadonlySet<string> = new Set(['SQLITE_CONSTRAINT', 'SQLITE_MISMATCH', 'SQLITE_TOOBIG', 'SQLITE_RANGE']);
/** After these a SQLite handle is opened anew. */
const BROKEN_HANDLE_CODES: ReadonlySet<string> = new Set([
  'SQLITE_IOERR',
  'SQLITE_CANTOPEN',
  'SQLITE_CORRUPT',
  'SQLITE_NOTADB',
  'SQLITE_MISUSE',
]);

/** The driver's own code: a SQLSTATE, `SQLITE_…`, or a code of Node. TypeORM wraps what drivers throw. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { code, driverError } = error as { code?: unknown; driverError?: unknown };
  if (typeof driverError === 'object' && driverError !== null) return errorCode(driverError);
  return typeof code === 'string' ? primaryCode(code) : '';
}

/** `better-sqlite3` gives SQLite's extended codes, such as SQLITE_CONSTRAINT_UNIQUE, and `sqlite3` the primary ones. */
const primaryCode = (code: string): string => /^SQLITE_[A-Z]+(?=_)/.exec(code)?.[0] ?? code;

export const isBusy = (error: unknown): boolean => {
  const code = errorCode(error);
  return code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED';
};

/** The server ended a statement that ran into its time limit. The connection is as good as before. */
export const isTooSlow = (error: unknown): boolean => errorCode(error) === '57014';

export const isBrokenHandle = (error: unknown): boolean => BROKEN_HANDLE_CODES.has(errorCode(error));
/** The role, the database or a pooler on the way gives no more connections. */
export function isTooManyConnections(error: unknown): boolean {
  return (
    errorCode(error) === '53300' ||
    (error instanceof Error && /too many (clients|connections)|no more connections allowed/i.test(error.message))
  );
}

/** A pooler, which shares connections among sessions, takes no settings for a session. */
export const isRefusedParameter = (error: unknown): boolean =>
  error instanceof Error && /startup parameter|parameter .* not (allowed|supported)|command-line options/i.test(error.message);
export const isWrongPassword = (error: unknown): boolean => errorCode(error) === '28P01';

/** True when the same statement with the same values will fail again, however healthy the database. */
export function isDataError(error: unknown): boolean {
  const code = errorCode(error);
  return SQLITE_DATA_CODES.has(code) || (/^2[23]/.test(code) && code.length === 5);
}

/** Codes whose messages we know to quote no values: SQLSTATEs, SQLite's, Node's. A custom repository has codes, and messages, of its own. */
const isDriverCode = (code: string): boolean =>
  /^(?=.*\d)[0-9A-Z]{5}$/.test(code) || code.startsWith('SQLITE_') || CONNECTION_CODES.has(code) || code in constants.errno;

/** Of a connection that stood until then: another one may well be had at once. */
export function isEndedConnection(error: unknown): boolean {
  const code = errorCode(error);
  if (code === '57P01' || code === '57P02' || code === 'ECONNRESET' || code === 'EPIPE') return true;
  return error instanceof Error && /connection (terminated|ended)|not queryable|Client was closed/i.test(error.message);
}

/** True for a broken or refused connection. */
export function isConnectionError(error: unknown): boolean {
  const code = errorCode(error);
  if (CONNECTION_CODES.has(code) || code.startsWith('08') || code.startsWith('57P0')) return true;
  return error instanceof Error && LOST_CONNECTION.test(error.message);
}

/**
 * What is reported. The driver's message goes along only where it speaks of the connection: others quote values,
 * and TypeORM's own error carries every parameter.
 */
export function unavailable(error: unknown, what: string): RepositoryError {
  if (RepositoryError.is(error)) return error;
  const reason = publicReason(error);
  if (errorCode(error) === 'SQLITE_CORRUPT') return damaged(reason, what);
  return new RepositoryError('UNAVAILABLE', `The database did not answer (${what}): ${reason}`, 1000, { cause: new Error(reason) });
}

/** Still a failure like others to those above: the log goes on taking tasks, and the file may be replaced at any moment. */
function damaged(reason: string, what: string): RepositoryError {
  const message =
    `The database is damaged (${what}): ${reason}. New tasks are kept in the event log. Stop the process, put the file aside, and restore a copy ` +
    'of it, or apply what the log retains to a fresh one: npx taskflow log repair <eventLogPath> --rebuild --database <file>';
  return new RepositoryError('UNAVAILABLE', message, 1000, { cause: new Error(reason) });
}

function publicReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const code = errorCode(error);
  if (isDriverCode(code) && !isDataError(error)) return error.message.includes(code) ? error.message : `${code}: ${error.message}`;
  if (code !== '') return `${error.name} ${code}`;
  if (isConnectionError(error)) return error.message;
  const place = /\bat .*?([^/\\]+:\d+):\d+\)?$/m.exec(error.stack ?? '')?.[1];
  return place === undefined ? error.name : `${error.name} at ${place}`;
}

/** Kept beside a dead entry: class and code, no values. */
export function reasonOf(error: unknown): string {
  const code = errorCode(error);
  const name = error instanceof Error ? error.name : 'Error';
  return code === '' ? `${name}: ${error instanceof Error ? error.message.slice(0, 300) : 'not an error'}` : `${name} ${code}`;
}
