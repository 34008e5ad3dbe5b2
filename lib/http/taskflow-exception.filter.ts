import { type ArgumentsHost, Catch, type ExceptionFilter, Inject, Optional } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { StreamEndedError } from '../errors/stream.errors.js';
import { TaskSystemError } from '../errors/task-system.error.js';

/** The part of a response that express and fastify agree on. */
interface ResponseLike {
  status(code: number): ResponseLike;
  header(name: string, value: string): ResponseLike;
  send(body?: unknown): unknown;
  readonly headersSent?: boolean;
  readonly sent?: boolean;
}

/**
 * Answers errors of the task system with their status and body, as Nest does without it, and adds `Retry-After`.
 * Where the call did not come by HTTP the error is thrown on: what it becomes there is for that transport to say.
 */
@Catch(TaskSystemError)
export class TaskflowExceptionFilter implements ExceptionFilter<TaskSystemError> {
  /** @param adapterHost injected; without it (`new TaskflowExceptionFilter()`) the response is answered directly. */
  constructor(@Optional() @Inject(HttpAdapterHost) private readonly adapterHost?: HttpAdapterHost) {}

  catch(error: TaskSystemError, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    const response = host.switchToHttp().getResponse<ResponseLike>();
    const status = error.getStatus();
    // A body with 204 is against HTTP; EventSource goes by the status alone.
    const body = StreamEndedError.is(error) ? undefined : error.getResponse();
    const seconds = retryAfterSeconds(error);
    const adapter = this.adapterHost?.httpAdapter;
    if (adapter === undefined || adapter === null) {
      answer(response, status, body, seconds);
    } else if (adapter.isHeadersSent(response)) {
      adapter.end(response);
    } else {
      if (seconds !== undefined) adapter.setHeader(response, 'Retry-After', String(seconds));
      adapter.reply(response, body, status);
    }
  }
}

function answer(response: ResponseLike, status: number, body: unknown, seconds: number | undefined): void {
  if (response.headersSent === true || response.sent === true) return;
  if (seconds !== undefined) response.header('Retry-After', String(seconds));
  response.status(status).send(body);
}

/** Whole seconds, at least one: RFC 9110 section 10.2.3 knows nothing finer, and 0 would be an invitation to hammer. */
function retryAfterSeconds(error: TaskSystemError): number | undefined {
  const retryAfterMs: unknown = Reflect.get(error, 'retryAfterMs');
  return typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) ? Math.max(1, Math.ceil(retryAfterMs / 1000)) : undefined;
}
