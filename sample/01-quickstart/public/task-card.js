import { element } from './element.js';
import { EventList } from './event-list.js';
import { TaskStream } from './task-stream.js';
import { durationOf, timeOf } from './units.js';

const TITLES = { 'send-report': 'Report', 'import-rows': 'Import', 'charge-card': 'Payment' };
const STATUS_AFTER = {
  created: 'created',
  start: 'running',
  retry: 'created',
  recovered: 'created',
  complete: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};
export const isOver = (status) => status === 'completed' || status === 'failed' || status === 'cancelled';

/** Numbers with their unit, which is their name here: rows, cents. */
const inputOf = (input) =>
  Object.entries(input)
    .map(([name, value]) => (typeof value === 'number' ? `${value} ${name}` : value))
    .join(', ');

/** One task on the page: what its events say, and the proof that none is missing or doubled. */
export class TaskCard {
  constructor(task, { onCancel, onStateChange }) {
    this.id = task.id;
    this.seqs = { last: 0, missed: 0, doubled: 0 };
    this.stream = new TaskStream(task.id, { onEvent: (event) => this.#show(event), onState: onStateChange });
    this.badge = element('span', { className: 'badge' });
    this.cancel = element('button', { className: 'quiet', type: 'button', textContent: 'Cancel', onclick: () => onCancel(this) });
    this.bar = element('progress', { max: 1, value: 0, hidden: true });
    this.say = element('p', { className: 'say' });
    this.contiguity = element('span', { className: 'contiguity', textContent: 'none read yet' });
    this.times = element('p', { className: 'times' });
    this.events = new EventList();
    this.summary = element('summary', {}, 'Events: ', this.contiguity);
    this.details = element('details', {}, this.summary, ...this.events.nodes);
    // The events of a task that ended before the page was opened are read when somebody asks for them.
    this.details.addEventListener('toggle', () => this.details.open && this.seqs.last < this.lastSeq && void this.stream.open());
    const title = `${TITLES[task.name] ?? task.name}: ${inputOf(task.input)}`;
    const head = element('div', { className: 'task-head' }, element('h3', { textContent: title }), this.badge, this.cancel);
    this.node = element('article', { className: 'task' }, head, this.bar, this.say, this.times, this.details);
    Object.assign(this.node.dataset, { taskId: task.id, kind: task.name });
    this.bar.setAttribute('aria-label', `Progress of ${title}`);
    this.cancel.setAttribute('aria-label', `Cancel ${title}`);
    this.refresh(task);
  }

  /**
   * A task that goes on; one that was watched to its end, then retried, and has ended again before the list told of it; or one whose
   * events somebody asked for while there was no connection for them.
   */
  get wantsEvents() {
    const isWatched = this.seqs.last > 0 || this.details.open;
    return !this.stream.isOpen && (!isOver(this.status) || (isWatched && this.seqs.last < this.lastSeq));
  }

  /** Takes over what the list says, unless the stream knows more. */
  refresh(task) {
    this.lastSeq = Math.max(this.lastSeq ?? 0, task.lastSeq);
    if (task.lastSeq < this.seqs.last) return;
    this.#setStatus(task.status);
    this.#showTimes(task);
    if (isOver(task.status) && this.seqs.last < task.lastSeq) this.#sayEnd(task.error?.message, task.result);
  }

  #setStatus(status) {
    this.status = status;
    this.node.dataset.status = this.badge.textContent = status;
    // A button that goes away takes the focus with it: whoever is on it goes on from the next control of the card.
    if (isOver(status) && document.activeElement === this.cancel) this.summary.focus();
    this.cancel.hidden = isOver(status);
  }

  #show(event) {
    const { seq, type, payload } = event;
    if (seq <= this.seqs.last) this.seqs.doubled++;
    else this.seqs.missed += seq - this.seqs.last - 1;
    this.seqs.last = Math.max(this.seqs.last, seq);
    this.#showContiguity();
    this.events.add(event);
    if (STATUS_AFTER[type] !== undefined) this.#setStatus(STATUS_AFTER[type]);
    if (type === 'progress') this.#showProgress(payload);
    else this.#sayWhat(event);
  }

  #showContiguity() {
    const { last, missed, doubled } = this.seqs;
    const isWhole = missed === 0 && doubled === 0;
    this.contiguity.dataset.whole = String(isWhole);
    this.contiguity.textContent = isWhole ? `1 to ${last}, no gap, none twice` : `1 to ${last}: ${missed} missing, ${doubled} twice`;
  }

  #showTimes({ createdAt, startedAt, completedAt, attempt, maxAttempts }) {
    const parts = [`Submitted ${timeOf(createdAt)}`];
    if (startedAt !== null && completedAt !== null) parts.push(`took ${durationOf(new Date(completedAt) - new Date(startedAt))}`);
    else if (startedAt !== null && this.status === 'running') parts.push(`running for ${durationOf(Date.now() - new Date(startedAt))}`);
    else if (!isOver(this.status)) parts.push('waiting');
    if (attempt > 1) parts.push(`attempt ${attempt} of ${maxAttempts}`);
    this.times.textContent = parts.join(' · ');
  }

  #showProgress({ done, total, status }) {
    this.say.textContent = status ?? `${done} of ${total} rows`;
    if (total === undefined) return;
    this.bar.hidden = false;
    this.bar.max = total;
    this.bar.value = done;
  }

  #sayWhat({ type, eventName, payload }) {
    if (type === 'retry') this.say.textContent = `Trying again: ${payload.error?.message ?? payload.reason}`;
    if (type === 'recovered') this.say.textContent = 'The server died; the task was taken up again.';
    if (eventName === 'resumed') this.say.textContent = `Goes on after row ${payload.fromRow}.`;
    if (type === 'complete' && !this.bar.hidden) this.bar.value = this.bar.max;
    if (isOver(STATUS_AFTER[type])) this.#sayEnd(payload?.error?.message ?? payload?.reason, payload?.result);
  }

  #sayEnd(trouble, result) {
    this.say.textContent = trouble ?? (result === undefined ? '' : `Result: ${JSON.stringify(result)}`);
  }
}
