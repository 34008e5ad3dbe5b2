import { takeSlot } from './stream-slots.js';

const TYPES = ['created', 'start', 'progress', 'custom', 'retry', 'recovered', 'complete', 'failed', 'cancelled'];
const ENDS = new Set(['complete', 'failed', 'cancelled']);
const REOPEN_MS = 1_000;

/**
 * The events of one task, each once and in order, across lost connections and restarts of the server.
 *
 * Two ways lead back into a stream. When a connection is lost, EventSource reconnects by itself and sends `Last-Event-ID`. When the
 * server answered with an error (503 while it starts, say), EventSource gives up; then this class opens a new one, and since a first
 * request cannot carry that header, the position is in `?lastEventId=`.
 *
 * A stream needs one of the few connections that all tabs share; `release` closes it for another one's turn, and loses nothing.
 */
export class TaskStream {
  #source = null;
  #timer = null;
  #slot = null;
  /** Counts on with each close: a slot that is granted after it is given back. */
  #turn = 0;
  #isAsking = false;

  /** @param {{ onEvent(event): void, onState(state: 'live' | 'reconnecting' | 'ended' | 'closed'): void }} listener */
  constructor(taskId, listener) {
    this.taskId = taskId;
    this.listener = listener;
    this.lastSeq = 0;
    this.state = 'closed';
  }

  get isOpen() {
    return this.#isAsking || this.#source !== null || this.#timer !== null;
  }

  /** Resolves when it is open, or there is no connection for it now. */
  async open() {
    if (this.isOpen) return;
    this.#isAsking = true;
    const turn = this.#turn;
    const slot = await takeSlot();
    if (turn !== this.#turn) return slot?.();
    this.#isAsking = false;
    if (slot === undefined) return;
    this.#slot = slot;
    this.openedAt = performance.now();
    this.#connect();
  }

  #connect() {
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
    this.#slot?.();
    this.#turn++;
    this.#isAsking = false;
    this.#timer = this.#source = this.#slot = null;
  }

  /** Closed by the page itself: no fault. */
  release() {
    this.close();
    this.#say('closed');
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
    this.#source = null;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#connect();
    }, REOPEN_MS);
  }

  #say(state) {
    if (this.state === state) return;
    this.state = state;
    this.listener.onState(state);
  }
}
