import { TaskSystemError } from './task-system.error.js';

export interface FieldIssue {
  readonly path: string;
  readonly message: string;
}

/**
 * 400. The caller's input, key, id or cursor is refused; nothing was changed.
 * 500, code `CALLED_WRONGLY`, where only the application's own code can be at fault, as by a guard that is missing: the body says
 * nothing of it, the message is in the log.
 */
export class ValidationError extends TaskSystemError {
  static override readonly kind: string = 'ValidationError';
  readonly issues: readonly FieldIssue[];

  /** @param field the first field at fault; @param issues every field at fault, or one message for `field`; @param culprit who has to mend it. */
  constructor(
    readonly field: string,
    issues: readonly FieldIssue[] | string,
    culprit: 'caller' | 'application' = 'caller',
  ) {
    const all = typeof issues === 'string' ? [{ path: field, message: issues }] : issues;
    const message = all.map((issue) => `${issue.path}: ${issue.message}`).join('; ');
    const isCaller = culprit === 'caller';
    super(isCaller ? 'VALIDATION_FAILED' : 'CALLED_WRONGLY', isCaller ? 400 : 500, message, { field, issues: all });
    this.issues = all;
  }
}

/** For messages: the scan at the start sees what is a provider by then. */
export const HOW_TO_REGISTER =
  'A handler is a provider marked with @TaskHandler; in a lazily loaded module, which is not there at the start, import TaskflowModule.forFeature([Handler]) beside it.';

/** 400, from `submit` only: no handler of that name is defined in this process. */
export class HandlerNotFoundError extends TaskSystemError {
  static override readonly kind: string = 'HandlerNotFoundError';
  constructor(name: string, known: readonly string[], nearest?: string) {
    const text = `No handler is defined for task "${name}".`;
    const hint = nearest === undefined ? '' : ` Did you mean "${nearest}"?`;
    // The body leaves out what else there is: a visitor who may choose the name must not be given the list.
    super('HANDLER_NOT_FOUND', 400, `${text}${hint} Defined: ${known.length === 0 ? 'none' : known.join(', ')}. ${HOW_TO_REGISTER}`, {
      message: text,
    });
  }
}

/** 404. The same for a task that never was, was pruned, or belongs to somebody else. */
export class NotFoundError extends TaskSystemError {
  static override readonly kind: string = 'NotFoundError';
  constructor() {
    super('NOT_FOUND', 404, 'No such task.');
  }
}

export type ConflictCode =
  | 'IDEMPOTENCY_CONFLICT'
  | 'KEY_REUSED'
  | 'TASK_ENDED'
  | 'NOT_RETRYABLE'
  | 'NOT_DEAD_LETTERED'
  | 'RETRIES_EXHAUSTED'
  | 'HOME_ELSEWHERE'
  | 'ALREADY_DEFINED';

/** 409. The task is not in a state that allows this, or the key is bound to another input. `code` says which. */
export class ConflictError extends TaskSystemError {
  static override readonly kind: string = 'ConflictError';
  constructor(code: ConflictCode, message: string) {
    super(code, 409, message);
  }
}
