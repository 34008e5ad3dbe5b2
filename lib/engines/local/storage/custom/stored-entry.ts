import type { StoredEvent } from '../../../../contracts/task-event.interface.js';
import type { StoredEntry } from '../../../../contracts/task-history.interface.js';
import { RepositoryError } from '../../../../errors/storage.errors.js';

const TYPES: ReadonlySet<unknown> = new Set<StoredEvent['type']>([
  'created',
  'start',
  'progress',
  'custom',
  'retry',
  'recovered',
  'complete',
  'error',
  'cancelled',
]);

/**
 * The inverse of `domain/task-event`: the facts that a public event shows. The fence is not among them.
 * @throws RepositoryError for a row that is no event: its type would go out as a field of an event stream, line breaks included.
 */
export function storedEntryOf(event: StoredEvent): StoredEntry {
  if (!TYPES.has(event.type) || !Number.isSafeInteger(event.seq))
    throw new RepositoryError('UNAVAILABLE', `The repository gave an event of task ${event.taskId} whose type or seq no event has.`);
  const facts = factsOf(event);
  return {
    taskSeq: event.seq,
    type: event.type,
    at: event.timestamp,
    attempt: event.attempt,
    fence: 0,
    body: facts === undefined ? '' : JSON.stringify(facts),
  };
}

function factsOf(event: StoredEvent): unknown {
  switch (event.type) {
    case 'custom':
      return { eventName: event.eventName, payload: event.payload };
    case 'progress':
      return { payload: event.payload };
    default:
      return event.payload; // shown as they are
  }
}
