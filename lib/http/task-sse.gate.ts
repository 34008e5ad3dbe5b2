import { type ExecutionContext, Inject, Injectable, type LoggerService } from '@nestjs/common';
import { LOGGER, TASK_MESSAGE_SOURCE } from '../config/taskflow.tokens.js';
import type { TaskMessages, TaskMessageSource } from '../contracts/task-messages.interface.js';
import type { OwnerOption, SubscribeOptions, TaskRef, TaskSelection } from '../contracts/task-system.interface.js';
import { ValidationError } from '../errors/request.errors.js';
import { MisuseLog } from '../telemetry/misuse-log.js';
import { presenceOf, type RawRequest, type RawResponse } from './client-presence.js';
import { lastEventIdOf, lastEventIdsOf, type RequestLike } from './last-event-id.decorator.js';
import { SseOutlet } from './sse-outlet.js';
import { SseWire } from './sse-wire.js';

/** What a `@TaskSse` route streams. */
export interface TaskSseSelection extends OwnerOption {
  ref: TaskRef;
  /** Seq of the last event that the client has. Default: `Last-Event-ID`, from header or query. */
  lastSeq?: number | undefined;
}
/** A `@TaskSse` route that streams many tasks. */
export interface TaskSseManySelection {
  many: TaskSelection;
  /** By task id, the seq of the last event that the client has. Default: `Last-Event-ID`, from header or query. */
  cursors?: Readonly<Record<string, number>> | undefined;
}
type Selected = TaskSseSelection | TaskSseManySelection;
export type TaskSseSelect = (context: ExecutionContext) => Selected | Promise<Selected>;

type Carrier = RequestLike & { raw?: RawRequest; [TASK_EVENTS]?: TaskMessages };
/** Shared by two installed copies of the package. */
const TASK_EVENTS = Symbol.for('nestjs-taskflow/task-events');

/** Opens the streams of `@TaskSse` routes. */
@Injectable()
export class TaskSseGate {
  /** Routes whose streams an interceptor broke off, and how: told once each, since every client comes back. */
  private readonly told = new Set<string>();
  private readonly wire = new SseWire();

  constructor(
    @Inject(TASK_MESSAGE_SOURCE) private readonly source: TaskMessageSource,
    @Inject(LOGGER) private readonly logger: LoggerService,
    private readonly misuse: MisuseLog,
  ) {}

  /**
   * Opens the stream that `select` names. What is wrong with it, or with the selection, is thrown: the headers are not out yet.
   * Its place is given back when the response is over, whether it was taken, refused, or left by its client meanwhile.
   */
  async open(context: ExecutionContext, select: TaskSseSelect): Promise<void> {
    if (context.getType() !== 'http') throw this.wrong('TaskSse', 'is for routes of HTTP controllers');
    const http = context.switchToHttp();
    const request = http.getRequest<Carrier>();
    const response = http.getResponse<RawResponse & { raw?: RawResponse }>();
    const rawResponse = response.raw ?? response;
    const rawRequest = request.raw ?? (request as RawRequest);
    const presence = presenceOf(rawRequest, rawResponse);
    const selection = await select(context);
    if (typeof selection !== 'object' || selection === null)
      throw this.wrong('select', 'must give { ref, userId?, lastSeq? }, or { many: { … } }');
    const messages = (await this.messagesOf(selection, request, presence.signal)) as TaskMessages;
    request[TASK_EVENTS] = messages;
    new SseOutlet(messages, this.wire, (why) => {
      presence.abort();
      this.tell(context, why);
    }).watch(rawResponse as RawResponse & Parameters<SseOutlet['watch']>[0]);
    // Headers are all that it gets: the stream is over before it begins.
    if (rawRequest.method === 'HEAD') presence.abort();
  }

  private messagesOf(selection: Selected, request: RequestLike, signal: AbortSignal): Promise<unknown> {
    if (!('many' in selection)) return this.source.sse(selection.ref, optionsOf(selection, request, signal));
    const { many, cursors = lastEventIdsOf(request) } = selection;
    return this.source.sseMany(many, { cursors, signal });
  }

  private wrong(field: string, what: string): unknown {
    return this.misuse.seen(new ValidationError(field, what, 'application'));
  }

  private tell(context: ExecutionContext, why: string): void {
    const route = `${context.getClass().name}.${context.getHandler().name}`;
    if (this.told.has(`${route} ${why}`)) return;
    this.told.add(`${route} ${why}`);
    this.logger.error(
      `The stream of ${route} was ended, since ${why} Its clients were asked to come back where they stood, so that none of them ` +
        'repeats or misses an event. Leave streams out of that interceptor. This line comes once.',
    );
  }
}

function optionsOf(selection: TaskSseSelection, request: RequestLike, signal: AbortSignal): SubscribeOptions {
  // A user id that is undefined is a guard that is missing, not one that was left out.
  const { ref: _ref, lastSeq = lastEventIdOf(request), ...owner } = selection;
  return { ...owner, lastSeq, signal };
}

/** The stream that was opened for this request. */
export function taskEventsOf(context: ExecutionContext): TaskMessages {
  const messages = context.switchToHttp().getRequest<Carrier>()[TASK_EVENTS];
  if (messages === undefined) throw new ValidationError('TaskEvents', 'is for methods with @TaskSse', 'application');
  return messages;
}
