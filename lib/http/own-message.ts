import type { MessageEvent } from '@nestjs/common';

/** Interceptors that wrap what other interceptors have wrapped: more of them than any application has. */
const MAX_DEPTH = 4;

/** Whether it is an id of this stream. */
type IsId = (id: string) => boolean;

/**
 * The message of ours in what an interceptor made of it: `{ data: message, statusCode: 200 }`, `{ success: true, result: message }` and the
 * like are undone, since a client that reads `id:` and `data:` has no use for an envelope around them. Undefined: there is none in it.
 */
export function ownMessageIn(value: unknown, isId: IsId, depth = 0): MessageEvent | undefined {
  if (typeof value === 'string') return depth > 0 ? ownMessageIn(parsed(value), isId, depth) : undefined;
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return undefined;
  const message = value as Partial<MessageEvent>;
  if (isOwn(message, isId) || isComment(message)) return message as MessageEvent;
  for (const inner of Object.values(value)) {
    const found = ownMessageIn(inner, isId, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** An event of a task, or a hint to come back: nothing else has such an id. */
const isOwn = ({ id, type, data, retry }: Partial<MessageEvent>, isId: IsId): boolean =>
  typeof id === 'string' && isId(id) && ((typeof type === 'string' && typeof data === 'string') || typeof retry === 'number');

const isComment = (message: Partial<MessageEvent>): boolean =>
  typeof message.comment === 'string' && Object.entries(message).every(([name, value]) => name === 'comment' || value === undefined);

/** Nest encodes data that is no text before it is written. */
function parsed(text: string): unknown {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
