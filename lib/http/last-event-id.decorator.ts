import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { parseCursors, type StreamCursors } from '../domain/stream-cursors.js';
import { ValidationError } from '../errors/request.errors.js';

/** What express and fastify requests have in common. */
export interface RequestLike {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly query?: unknown;
}

const DIGITS = /^\d{1,16}$/;

/**
 * The position that a client resumes from: the `Last-Event-ID` header that EventSource sends when it reconnects, else `?lastEventId=`,
 * as EventSource cannot set headers on its first request. Undefined when neither is there, or both are empty.
 * @throws ValidationError (400, field `Last-Event-ID`) unless it is an integer from 0 to 2^53 - 1 in plain digits.
 */
export function lastEventIdOf(request: RequestLike): number | undefined {
  const value = sentId(request);
  if (value === undefined) return undefined;
  const position = typeof value === 'string' && DIGITS.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(position)) throw new ValidationError('Last-Event-ID', 'must be an integer from 0 to 9007199254740991');
  return position;
}

/**
 * The positions that a client of `sseMany` resumes from, by task id, from the same places: the id of a message of its stream, or
 * `taskId:seq,taskId:seq …`. @throws ValidationError (400, field `Last-Event-ID`) for anything else.
 */
export function lastEventIdsOf(request: RequestLike): StreamCursors | undefined {
  const value = sentId(request);
  return value === undefined ? undefined : parseCursors(typeof value === 'string' ? value : '');
}

function sentId(request: RequestLike): unknown {
  const header = request.headers?.['last-event-id'];
  const query = request.query as Readonly<Record<string, unknown>> | null | undefined;
  const value = isGiven(header) ? header : query?.['lastEventId'];
  return isGiven(value) ? value : undefined;
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== '';

/** Parameter of an `@Sse()` route: see `lastEventIdOf`. */
export const LastEventId: () => ParameterDecorator = createParamDecorator((_: unknown, context: ExecutionContext): number | undefined =>
  lastEventIdOf(context.switchToHttp().getRequest<RequestLike>()),
);

/** Parameter of an `@Sse()` route that answers with `tasks.sseMany()`: see `lastEventIdsOf`. */
export const LastEventIds: () => ParameterDecorator = createParamDecorator(
  (_: unknown, context: ExecutionContext): StreamCursors | undefined => lastEventIdsOf(context.switchToHttp().getRequest<RequestLike>()),
);
