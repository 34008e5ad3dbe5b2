import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validate, type ValidationError as ClassValidatorError } from 'class-validator';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { StandardSchema } from '../contracts/task-handler.interface.js';
import { type FieldIssue, ValidationError } from '../errors/request.errors.js';

/**
 * What `handle` is given for a submitted or stored input: the DTO instance, the schema's output, or the value itself where the
 * handler declares neither. Synchronous where nothing has to be awaited. Members that the DTO does not name are kept, never
 * dropped in silence: what is stored is what was submitted.
 * @param value parsed JSON. @throws ValidationError (field `input`) with every member at fault; paths are relative to the input.
 */
export function validateInput(handler: Pick<RegisteredHandler, 'input' | 'schema'>, value: unknown): unknown {
  if (handler.input !== undefined) return validateClass(handler.input, value);
  if (handler.schema !== undefined) return validateSchema(handler.schema, value);
  return value;
}

async function validateClass(type: Type<unknown>, value: unknown): Promise<unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ValidationError('input', 'must be an object');
  const instance = instanceOf(type, value);
  // The target is left out of the errors: it is the submitted input.
  const errors = await validate(instance, { forbidUnknownValues: true, validationError: { target: false, value: false } });
  if (errors.length > 0) throw new ValidationError('input', classIssues(errors, ''));
  return instance;
}

/** A transform that trips over a value, such as `value.trim()` of a number, says so before any rule could: that is no fault of ours. */
function instanceOf(type: Type<unknown>, value: object): object {
  try {
    return plainToInstance(type, value, { exposeDefaultValues: true }) as object;
  } catch (error) {
    // The kind of error only: its text may quote the value.
    const kind = error instanceof Error ? error.name : typeof error;
    throw new ValidationError('input', `cannot become a ${type.name}: ${kind} in a transform or its constructor`);
  }
}

function classIssues(errors: readonly ClassValidatorError[], prefix: string): FieldIssue[] {
  return errors.flatMap((error) => {
    // class-validator names no property when it knows no rule for the class at all.
    if (error.property === undefined) return [{ path: prefix || 'input', message: NO_RULES }];
    const path = prefix === '' ? error.property : `${prefix}.${error.property}`;
    const own = Object.values(error.constraints ?? {}).map((message) => ({ path, message }));
    return [...own, ...classIssues(error.children ?? [], path)];
  });
}

const NO_RULES = 'its class has no rules that class-validator knows: decorate its members, and install class-validator once';

interface SchemaResult {
  readonly value?: unknown;
  readonly issues?:
    | readonly { readonly message: string; readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined }[]
    | undefined;
}

function validateSchema(schema: StandardSchema, value: unknown): unknown {
  const result = schema['~standard'].validate(value);
  return isThenable(result)
    ? Promise.resolve(result).then((settled) => schemaOutput(settled as SchemaResult))
    : schemaOutput(result as SchemaResult);
}

function schemaOutput(result: SchemaResult): unknown {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path = [] }) => ({ path: path.map(segmentOf).join('.') || 'input', message }));
  throw new ValidationError('input', issues.length > 0 ? issues : 'was refused by its schema');
}

const segmentOf = (segment: PropertyKey | { readonly key: PropertyKey }): string =>
  String(typeof segment === 'object' ? segment.key : segment);

/** Not `instanceof Promise`: libraries bring their own, and every realm has one. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  typeof (value as Partial<PromiseLike<unknown>>).then === 'function';
