import { element } from './element.js';
import { timeOf } from './units.js';

/** Lines in the page; a task may have a hundred thousand events. */
const MAX_LINES = 1_000;
/** Lines are added together, since each addition makes the browser lay out the page. */
const BATCH_MS = 50;

/** The newest events of a task, a line each. */
export class EventList {
  node = element('ol', { className: 'events', tabIndex: 0 });
  #omitted = element('p', { className: 'omitted', hidden: true });
  #waiting = [];
  #timer = null;
  #count = 0;

  get nodes() {
    return [this.#omitted, this.node];
  }

  add(event) {
    this.#count++;
    this.#waiting.push(event);
    if (this.#waiting.length > MAX_LINES) this.#waiting.shift();
    if (this.#timer === null) this.#timer = setTimeout(() => this.#show(), BATCH_MS);
  }

  #show() {
    this.#timer = null;
    const list = this.node;
    const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
    list.append(...this.#waiting.splice(0).map(lineOf));
    while (list.childElementCount > MAX_LINES) list.firstElementChild.remove();
    this.#omitted.hidden = this.#count <= MAX_LINES;
    this.#omitted.textContent = `The newest ${MAX_LINES} of ${this.#count} events:`;
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }
}

function lineOf({ seq, type, eventName, attempt, timestamp, payload }) {
  const time = element('time', { textContent: timeOf(timestamp), dateTime: new Date(timestamp).toISOString() });
  const line = element('li', {}, element('b', { textContent: seq }), ' ', time, ` ${eventName ?? type}`);
  Object.assign(line.dataset, { seq, type, attempt });
  if (payload !== undefined) line.append(` ${JSON.stringify(payload)}`);
  return line;
}
