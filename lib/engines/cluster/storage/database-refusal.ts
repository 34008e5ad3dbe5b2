import { RepositoryError, type RepositoryErrorCode } from '../../../errors/storage.errors.js';
import { isSilence } from '../../../repository/answer-limit.js';
import { errorCode, isConnectionError, isDataError, isEndedConnection, unavailable } from '../../../repository/database-errors.js';

/** A refusal of the database, with what the callers of groups have to tell apart. */
export class DatabaseRefusal extends RepositoryError {
  constructor(
    code: RepositoryErrorCode,
    message: string,
    /** The driver's code; empty where it said none. */
    readonly sqlState: string,
    outcome: 'none' | 'unknown',
  ) {
    super(code, message, 1000, { outcome, cause: new Error(sqlState === '' ? 'no code' : sqlState) });
  }
}

const stateOf = (error: unknown): string => (error instanceof DatabaseRefusal ? error.sqlState : '');

/** Another transaction held a key, a window or the turn for too long. Nothing happened: half of the group may pass. */
export const isLockTimeout = (error: unknown): boolean => stateOf(error) === '55P03';
/** One row of the group can never be taken. Nothing happened: found by halves. */
export const isRowRefusal = (error: unknown): boolean => /^2[23]...$/.test(stateOf(error));
/** The server takes no writes (any more): every connection leads to the wrong one. */
export const isReadOnly = (error: unknown): boolean => stateOf(error) === '25006';

/** A transaction was chosen to give way. The same call passes a moment later. */
export const isToBeRepeated = (error: unknown): boolean => ['40P01', '40001'].includes(errorCode(error));

const MIGRATE = 'npx taskflow cluster migrate';

/** What the operator can do about it, by what the server said. Empty: nothing but wait. */
function remedyOf(sqlState: string): string {
  switch (sqlState) {
    case '42883':
    case '42P01':
    case '42703':
    case '3F000':
      return ` The schema is missing, older than this version, or another one than repository.schema says: ${MIGRATE}`;
    case '42501':
      return ` The role lacks a right. It needs SELECT, INSERT, UPDATE and DELETE on all tables taskflow_*, EXECUTE on the functions, and CREATE only for ${MIGRATE} (--print shows what to run for it).`;
    case '25006':
      return ' The server takes no writes: it is a standby, or became one. Let repository.host name the primary.';
    case 'TF001':
      return " Set the isolation of the role to what taskflow needs: ALTER ROLE … SET default_transaction_isolation = 'read committed'";
    case '3D000':
      return ' There is no such database: look at repository.database.';
    case '28P01':
    case '28000':
      return ' The role or its password is refused: look at repository.';
    default:
      return '';
  }
}

/**
 * What callers get for anything that a call may end with. Outcome: what was never sent, or was refused by the server, did not happen; what
 * got no answer may have happened.
 * @param writes false for a call that changes nothing, whose outcome is never in question.
 */
export function refusalOf(error: unknown, what: string, writes: boolean): RepositoryError {
  if (error instanceof DatabaseRefusal) return error;
  const sqlState = errorCode(error);
  const isUnknown = writes && (isSilence(error) || isEndedConnection(error) || (isConnectionError(error) && sqlState !== 'ECONNREFUSED'));
  const outcome = isUnknown ? 'unknown' : 'none';
  if (isDataError(error))
    return new DatabaseRefusal('NOT_SUPPORTED', `The database refuses a value (${what}): ${sqlState}`, sqlState, outcome);
  const { message } = unavailable(error, what);
  return new DatabaseRefusal('UNAVAILABLE', `${message}${remedyOf(sqlState)}`, sqlState, outcome);
}
