const TYPES = ['created', 'start', 'progress', 'custom', 'retry', 'recovered', 'complete', 'failed', 'cancelled'];
const ENDS = new Set(['complete', 'failed', 'cancelled']);
const REOPEN_MS = 1_000;

/**
 * The events of one task, each once and in order, across lost connections and restarts of the server.
 *
 * Two ways lead back into a stream. When a connection is lost, EventSource reconnects by itself and sends `Last-Event-ID`. When the
 * server answered with an error (503 while it starts, say), EventSource gives up; then this class opens a new one, and since a first
 * request cannot carry that header, the position is in `?lastEventId=`.
 */
export class TaskStream {
  #source = null;
  #timer = null;

  /** @param {{ onEvent(event): void, onState(state: 'live' | 'reconnecting' | 'ended'): void }} listener */
  constructor(taskId, listener) {
    this.taskId = taskId;
    this.listener = listener;
    this.lastSeq = 0;
    this.state = 'closed';
  }

  get isOpen() {
    return this.#source !== null || this.#timer !== null;
  }

  open() {
    if (this.isOpen) return;
    const source = new EventSource(`/api/tasks/${this.taskId}/events?lastEventId=${this.lastSeq}`);
    this.#source = source;
    this.hasEnded = false;
    source.onopen = () => this.#say('live');
    source.onerror = () => this.#interrupted(source);
    for (const type of TYPES) source.addEventListener(type, ({ data }) => this.#take(type, JSON.parse(data)));
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#timer = this.#source = null;
  }

  #take(type, event) {
    this.lastSeq = event.seq;
    // A dead letter that is retried goes on after its end, in the same stream.
    this.hasEnded = ENDS.has(type);
    this.listener.onEvent({ ...event, type });
  }

  #interrupted(source) {
    if (this.hasEnded) {
      // The server closes the stream after the last event. Left open, EventSource would ask again and get a 204.
      this.close();
      return this.#say('ended');
    }
    this.#say('reconnecting');
    if (source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.open();
    }, REOPEN_MS);
  }

  #say(state) {
    if (this.state === state) return;
    this.state = state;
    this.listener.onState(state);
  }
}
