import type { FieldIssue } from './request.errors.js';
import { TaskSystemError } from './task-system.error.js';

/** 500, at start. Every option at fault, in one error. */
export class ConfigValidationError extends TaskSystemError {
  static override readonly kind: string = 'ConfigValidationError';
  constructor(readonly issues: readonly FieldIssue[]) {
    super(
      'CONFIG_INVALID',
      500,
      `Invalid Taskflow configuration:\n${issues.map((issue) => `- ${issue.path}: ${issue.message}`).join('\n')}`,
    );
  }
}
