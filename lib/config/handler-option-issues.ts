import { IsIn, ValidateIf } from 'class-validator';
import { IsCount, IsDurationMs } from './bounded.decorators.js';
import type { FieldIssue } from '../errors/request.errors.js';
import { assignBranch, isOptionsObject } from './branch-assignment.js';
import { fieldIssue } from './option-issues.js';
import { RetryPolicyOptions } from './retry.options.js';

const IfGiven = (): PropertyDecorator => ValidateIf((_rules: unknown, value: unknown) => value !== undefined);

/** Options of one handler: every one optional, null is not "left out". */
class HandlerRules {
  readonly input: unknown = undefined;
  readonly schema: unknown = undefined;
  @IfGiven() @IsIn(['user', 'background']) readonly type: unknown = undefined;
  @IfGiven() @IsDurationMs(1) readonly timeoutMs: unknown = undefined;
  readonly retry: RetryPolicyOptions = new RetryPolicyOptions();
  @IfGiven() @IsCount(1) readonly maxConcurrentExecutions: unknown = undefined;
  @IfGiven() @IsIn(['none', 'input']) readonly idempotency: unknown = undefined;
}

const BY_REFERENCE: ReadonlySet<string> = new Set(['input', 'schema']);

/** Everything that is wrong with a handler's options; empty: nothing. Paths such as `retry.maxAttempts`, without the handler's name. */
export function handlerOptionIssues(options: unknown): FieldIssue[] {
  const issues: FieldIssue[] = [];
  const { input, schema } = assignBranch({ target: new HandlerRules(), input: options, path: '', byReference: BY_REFERENCE, issues });
  if (input !== undefined && typeof input !== 'function') issues.push(fieldIssue('input', 'must be a DTO class', input));
  if (schema !== undefined && !isStandardSchema(schema)) issues.push(fieldIssue('schema', 'must be a Standard Schema, version 1', schema));
  if (input !== undefined && schema !== undefined) issues.push({ path: 'schema', message: 'excludes input: a task has one or the other' });
  return issues;
}

/** A schema can be an object or, as in arktype, a function. */
function isStandardSchema(value: unknown): boolean {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  const standard = (value as Record<string, unknown>)['~standard'];
  return isOptionsObject(standard) && standard['version'] === 1 && typeof standard['validate'] === 'function';
}
