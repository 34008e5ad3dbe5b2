import type { LoggerService } from '@nestjs/common';
import { idempotencyKey, taskId, taskName } from '../contracts/ids.js';
import type { TaskContext } from '../contracts/task-handler.interface.js';

/** What a handler told of, in order. */
export interface EmittedEvent {
  readonly type: 'progress' | 'custom';
  readonly eventName?: string;
  readonly payload?: unknown;
}

const ID = '01890000-0000-7000-8000-000000000001';
const nothing = (): void => undefined;
export const silentLogger: LoggerService = {
  log: nothing,
  error: nothing,
  warn: nothing,
  debug: nothing,
  verbose: nothing,
  fatal: nothing,
};

/**
 * A context for unit tests of a handler: `await new SendEmail(mailer).handle(input, taskContext())`. First attempt of three, fence 1, no
 * owner, a signal that never aborts, a silent logger, no earlier events. `emitted` has what `progress` and `emit` were called with; of an
 * async generator, the yields are what the test itself iterates over.
 * @param overrides instead of these. `history` gives `previousEvents`, unless it is overridden itself.
 */
export function taskContext(overrides: Partial<TaskContext> = {}): TaskContext & { readonly emitted: readonly EmittedEvent[] } {
  const emitted: EmittedEvent[] = [];
  const context = {
    taskId: taskId(ID),
    name: taskName('test'),
    userId: null,
    idempotencyKey: idempotencyKey(ID),
    attempt: 1,
    maxAttempts: 3,
    fence: 1,
    signal: new AbortController().signal,
    logger: silentLogger,
    previousEvents: [],
    progress: async (payload: unknown) => void emitted.push({ type: 'progress', payload }),
    emit: async (eventName: string, payload?: unknown) =>
      void emitted.push({ type: 'custom', eventName, ...(payload === undefined ? {} : { payload }) }),
    ...overrides,
  };
  async function* history() {
    yield* context.previousEvents;
  }
  return { ...context, history: overrides.history ?? history, emitted };
}
