import { encodeJson } from '../domain/json-encoding.js';
import { ValidationError } from '../errors/request.errors.js';
import type { ExecutionSettings } from './execution-environment.js';
import { nameIssue } from '../domain/text-rules.js';

export interface EncodedEntry {
  readonly type: 'progress' | 'custom';
  /** JSON text of `d`. */
  readonly body: string;
}

type Limits = ExecutionSettings['limits'];

/** @throws ValidationError when the payload is not JSON or is over `limits`. */
export function progressBody(payload: unknown, limits: Limits): string {
  // `progress()` without a payload is a sign of life, not a mistake.
  return payload === undefined ? '' : `{"payload":${encodePayload(payload, limits)}}`;
}

/** @throws ValidationError when the name is no name, or the payload is not JSON or is over `limits`. */
export function customBody(eventName: unknown, payload: unknown, limits: Limits): string {
  const issue = nameIssue(eventName);
  if (issue !== undefined) throw new ValidationError('eventName', issue);
  const name = JSON.stringify(eventName);
  return payload === undefined ? `{"eventName":${name}}` : `{"eventName":${name},"payload":${encodePayload(payload, limits)}}`;
}

/** What a generator yielded. @throws ValidationError when it is neither a `progress` nor a `custom` event. */
export function yieldedEntry(value: unknown, limits: Limits): EncodedEntry {
  if (typeof value !== 'object' || value === null)
    throw new ValidationError('yield', "must be an object such as { type: 'progress', payload }");
  const { type, payload, eventName, message } = value as Record<string, unknown>;
  if (message !== undefined && typeof message !== 'string') throw new ValidationError('yield.message', 'must be a string');
  const content = message === undefined ? payload : withMessage(payload, message, limits);
  if (type === 'progress') return { type, body: progressBody(content, limits) };
  if (type === 'custom') return { type, body: customBody(eventName, content, limits) };
  throw new ValidationError('yield.type', "must be 'progress' or 'custom'; return the result, and throw to fail");
}

/** An event has one payload, so that a message becomes part of it. Encoded first: a copy would lose in silence what JSON has to refuse. */
function withMessage(payload: unknown, message: string, limits: Limits): unknown {
  if (payload === undefined) return { message };
  const encoded: unknown = JSON.parse(encodePayload(payload, limits));
  const isMergeable =
    Object.prototype.toString.call(payload) === '[object Object]' && typeof (payload as { toJSON?: unknown }).toJSON !== 'function';
  return isMergeable ? { message, ...(encoded as object) } : { message, payload: encoded };
}

const encodePayload = (payload: unknown, limits: Limits): string =>
  encodeJson(payload, { field: 'payload', maxBytes: limits.maxEventBytes, maxDepth: limits.maxDepth });
