import type { FactDraft } from '../contracts/fact-port.interface.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { TaskId } from '../contracts/ids.js';
import type { EntryData } from '../contracts/log-entry.interface.js';
import type { SubmitRequest } from '../contracts/submission.interface.js';

/** What `created` says of a task beside its input. */
export interface CreatedFacts {
  readonly handler: RegisteredHandler;
  readonly request: SubmitRequest;
  readonly key: string | null;
  readonly inputHash: string | null;
  readonly keyBase: number;
  readonly traceparent: string | undefined;
}

/** `d` without the input, and its JSON text up to where the input goes. */
interface Opening {
  readonly data: EntryData;
  readonly text: string;
}

/** Makes `created` entries. Submits to one handler mostly differ in their input alone: what they share is encoded, and kept, once. */
export class CreatedEntries {
  private readonly shared = new Map<RegisteredHandler, { readonly request: SubmitRequest; readonly opening: Opening }>();

  draft(id: TaskId, facts: CreatedFacts, input: string): FactDraft {
    const { data, text } = isPlain(facts) ? this.sharedOpening(facts) : openingOf(facts);
    return { type: 'created', taskId: id, data, body: `${text}${input}}` };
  }

  private sharedOpening(facts: CreatedFacts): Opening {
    const { handler, request } = facts;
    const last = this.shared.get(handler);
    if (
      last !== undefined &&
      last.request.userId === request.userId &&
      last.request.maxAttempts === request.maxAttempts &&
      last.request.timeoutMs === request.timeoutMs
    )
      return last.opening;
    const opening = openingOf(facts);
    this.shared.set(handler, { request, opening });
    return opening;
  }
}

/** Nothing in it but name, user, attempts and timeout. */
function isPlain({ request, key, traceparent }: CreatedFacts): boolean {
  return (
    key === null &&
    traceparent === undefined &&
    request.runAt === undefined &&
    request.expiresAt === undefined &&
    request.priority === 0 &&
    request.tags.length === 0
  );
}

function openingOf({ handler, request, key, inputHash, keyBase, traceparent }: CreatedFacts): Opening {
  // Members at their default are left out of the log: JSON knows no undefined.
  const data = Object.freeze({
    name: handler.name,
    userId: request.userId ?? undefined,
    key: key ?? undefined,
    inputHash: inputHash ?? undefined,
    keyBase: keyBase === 0 ? undefined : keyBase,
    type: handler.type === 'user' ? undefined : handler.type,
    maxAttempts: request.maxAttempts,
    timeoutMs: request.timeoutMs,
    runAt: request.runAt,
    delayMs: request.delayMs,
    expiresAt: request.expiresAt,
    priority: request.priority === 0 ? undefined : request.priority,
    tags: request.tags.length === 0 ? undefined : request.tags,
    traceparent,
  });
  return { data, text: `${JSON.stringify(data).slice(0, -1)},"input":` };
}
