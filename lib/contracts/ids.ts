declare const BRAND: unique symbol;
type Brand<B extends string> = string & { readonly [BRAND]: B };
/** What a parameter takes: a plain string, or the right brand; never another brand. */
export type Plain<B extends string> = string & { readonly [BRAND]?: B };

export type TaskId = Brand<'TaskId'>;
export type IdempotencyKey = Brand<'IdempotencyKey'>;
export type UserId = Brand<'UserId'>;
export type TaskName = Brand<'TaskName'>;
export type EventId = Brand<'EventId'>;

/** Brands a string; checks nothing: ids are checked where they enter the system. */
export const taskId = (value: string): TaskId => value as TaskId;
export const idempotencyKey = (value: string): IdempotencyKey => value as IdempotencyKey;
export const userId = (value: string): UserId => value as UserId;
export const taskName = (value: string): TaskName => value as TaskName;
export const eventId = (value: string): EventId => value as EventId;
