import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject, Optional } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { type Observable, throwError } from 'rxjs';
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

/** A client of socket.io, or of ws, whose `emit` would only be heard on the server. */
interface SocketLike {
  emit(event: 'exception', body: object): unknown;
  send(text: string): unknown;
  readonly readyState?: number;
}

/**
 * Answers errors of the task system on every transport. By HTTP with their status and body, as Nest does without it, and `Retry-After`.
 * In a microservice the caller's `send` fails with that body and `retryAfterMs`; a WebSocket client is sent it as `exception`, as by
 * Nest's own filters. Any other transport (GraphQL) gets the error thrown on, without the text of a 5xx, which is not for clients.
 */
@Catch(TaskSystemError)
export class TaskflowExceptionFilter implements ExceptionFilter<TaskSystemError> {
  /** @param adapterHost injected; without it (`new TaskflowExceptionFilter()`) the response is answered directly. */
  constructor(@Optional() @Inject(HttpAdapterHost) private readonly adapterHost?: HttpAdapterHost) {}

  catch(error: TaskSystemError, host: ArgumentsHost): Observable<never> | void {
    switch (host.getType<string>()) {
      case 'http':
        return this.answerHttp(error, host);
      case 'rpc':
        return throwError(() => messageBody(error));
      case 'ws':
        return tell(host.switchToWs().getClient<SocketLike>(), messageBody(error));
      default:
        throw error.getStatus() < 500 ? error : new HttpException(error.getResponse(), error.getStatus(), { cause: error });
    }
  }

  private answerHttp(error: TaskSystemError, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<ResponseLike>();
    const status = error.getStatus();
    // A body with 204 is against HTTP; EventSource goes by the status alone.
    const body = StreamEndedError.is(error) ? undefined : error.getResponse();
    const seconds = retryAfterSeconds(error);
    const adapter = this.adapterHost?.httpAdapter;
    // In an application without HTTP the host has an adapter that does nothing.
    if (adapter?.isHeadersSent === undefined) {
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

/** What callers without HTTP are told: `status` is what clients of Nest go by, the rest is the body that HTTP has. */
function messageBody(error: TaskSystemError): object {
  const retryAfterMs = retryAfterOf(error);
  return { status: 'error', ...(error.getResponse() as object), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function tell(client: SocketLike, body: object): void {
  if (typeof client.readyState === 'number') client.send(JSON.stringify({ event: 'exception', data: body }));
  else client.emit('exception', body);
}

/** Whole seconds, at least one: RFC 9110 section 10.2.3 knows nothing finer, and 0 would be an invitation to hammer. */
function retryAfterSeconds(error: TaskSystemError): number | undefined {
  const retryAfterMs = retryAfterOf(error);
  return retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(retryAfterMs / 1000));
}

function retryAfterOf(error: TaskSystemError): number | undefined {
  const retryAfterMs: unknown = Reflect.get(error, 'retryAfterMs');
  return typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) ? retryAfterMs : undefined;
}
