/** What connections and responses have in common: they say that they have closed, once. */
interface Closable {
  once(event: 'close', listener: () => void): unknown;
  removeListener(event: 'close', listener: () => void): unknown;
  readonly destroyed?: boolean;
}

/** Node's own request and response, as express hands them on and fastify keeps them in `raw`. */
export interface RawRequest {
  readonly socket?: Closable | null;
  readonly method?: string;
}
export interface RawResponse extends Closable {
  readonly writableEnded?: boolean;
  readonly headersSent?: boolean;
  end(): unknown;
}

/**
 * A signal that aborts when the response is over, for whatever reason. Nest has `@SseSignal()` for that, but up to 11.2.9 and 12.1 it does not
 * notice a client that left before the handler was called, as during a guard: its connection closed before anybody listened.
 */
export function presenceOf(request: RawRequest, response: RawResponse): AbortController {
  const controller = new AbortController();
  const leave = (): void => {
    response.removeListener('close', leave);
    request.socket?.removeListener('close', leave);
    controller.abort();
  };
  response.once('close', leave);
  request.socket?.once('close', leave);
  if (request.socket?.destroyed === true || response.destroyed === true || response.writableEnded === true) leave();
  return controller;
}
