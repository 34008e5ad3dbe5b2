import type {
  EventId,
  IdempotencyKey,
  OwnerOption,
  SubmitParams,
  SubscribeOptions,
  TaskId,
  TaskName,
  TaskRef,
  UserId,
} from 'nestjs-taskflow';
import { eventId, idempotencyKey, taskId, taskName, userId } from 'nestjs-taskflow';

export const task: TaskId = taskId('t');
export const key: IdempotencyKey = idempotencyKey('k');
export const user: UserId = userId('u');
export const name: TaskName = taskName('n');
export const event: EventId = eventId('e');
export const text: string[] = [task, key, user, name, event];

// @ts-expect-error a plain string is no id
export const plainIsNoId: TaskId = 't';
// @ts-expect-error one brand is not another
export const otherBrand: TaskId = user;

/** Parameters take plain strings and the right brand. */
export const refs: TaskRef[] = ['k', key, { id: task }, { taskId: 't' }, { taskId: task }];
export const owners: OwnerOption[] = [{}, { userId: 'u' }, { userId: user }, { userId: null }];
export const submits: SubmitParams<number>[] = [
  { input: 1 },
  { input: 1, userId: user, idempotencyKey: key },
  { input: 1, idempotencyKey: undefined },
];

// @ts-expect-error another brand is no user
export const taskAsUser: OwnerOption = { userId: task };
// @ts-expect-error another brand is no key
export const userAsKey: TaskRef = user;
// @ts-expect-error another brand is no key
export const userAsSubmitKey: SubmitParams<number> = { input: 1, idempotencyKey: user };
// @ts-expect-error an id is branded where it must be a task's own
export const plainId: TaskRef = { id: 't' };
// @ts-expect-error undefined is a missing guard, not trusted access
export const undefinedUser: OwnerOption = { userId: undefined };
// @ts-expect-error undefined is a missing guard, not trusted access
export const undefinedSubscriber: SubscribeOptions = { userId: undefined };
// @ts-expect-error undefined is a missing guard, not trusted access
export const undefinedSubmitter: SubmitParams<number> = { input: 1, userId: undefined };
// @ts-expect-error a task needs an input
export const noInput: SubmitParams<number> = {};
