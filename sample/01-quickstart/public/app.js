import { call, submit } from './api.js';
import { element } from './element.js';
import { TaskCard } from './task-card.js';
import { durationOf, timeOf } from './units.js';

const POLL_MS = 1_000;
/** A stream gives way to a task that waits for one after this: no task is left unwatched by others. */
const TURN_MS = 5_000;

const byId = (id) => document.getElementById(id);
const cards = new Map();
let isAnswering = true;
/** When the figures were read. */
let seenAt;
/** Counts on with each choice of a user: what was asked for before it is about somebody else. */
let view = 0;

/** Says at the top of the page whether what is shown is live. */
function showConnection() {
  const isLive = isAnswering && ![...cards.values()].some(({ stream }) => stream.isOpen && stream.state === 'reconnecting');
  const state = isLive ? 'live' : 'reconnecting';
  const status = byId('connection');
  if (status.dataset.state === state) return;
  status.dataset.state = state;
  status.textContent = isLive ? 'Live' : 'Reconnecting… tasks and streams go on where they stopped';
}

function showNotice(error) {
  const notice = byId('notice');
  notice.hidden = error === undefined;
  notice.textContent = error === undefined ? '' : (error.message ?? String(error));
}

/** Runs what a click asked for, once at a time, and says what went wrong. */
async function act(button, action) {
  // Not `disabled`, which would take the focus away from whoever uses the keyboard.
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  showNotice();
  try {
    await action();
    await refresh();
  } catch (error) {
    showNotice(error);
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

function cardOf(task) {
  let card = cards.get(task.id);
  if (card === undefined) {
    card = new TaskCard(task, {
      onCancel: ({ id, cancel }) => act(cancel, () => call('POST', `tasks/${id}/cancel`)),
      onStateChange: showConnection,
    });
    cards.set(task.id, card);
    // Task ids are UUIDv7: the newest one is the greatest.
    const next = [...byId('tasks').children].find((node) => node.dataset.taskId < task.id);
    byId('tasks').insertBefore(card.node, next ?? null);
  }
  card.refresh(task);
  return card;
}

/** Those that waited longest first; where there are more tasks than connections, they take turns. */
async function openStreams() {
  const asked = view;
  const waiting = [...cards.values()].filter((card) => card.wantsEvents);
  waiting.sort((a, b) => (a.stream.openedAt ?? 0) - (b.stream.openedAt ?? 0));
  for (const { stream } of waiting) {
    await stream.open();
    if (asked !== view) return stream.close();
    if (!stream.isOpen) return takeTurns();
  }
}

function takeTurns() {
  const now = performance.now();
  for (const { stream } of cards.values()) if (stream.isOpen && now - stream.openedAt > TURN_MS) stream.release();
}

function showTasks({ items }) {
  for (const task of items) cardOf(task);
  byId('no-tasks').hidden = cards.size > 0;
  void openStreams();
}

function showDeadLetters({ items }) {
  const list = byId('dead-letters');
  byId('no-dead-letters').hidden = items.length > 0;
  const hadFocus = list.contains(document.activeElement);
  const known = new Map([...list.children].map((item) => [item.dataset.taskId, item]));
  const shown = items.map((task) => known.get(task.id) ?? deadLetter(task));
  for (const item of list.children) if (!shown.includes(item)) item.remove();
  // What stays is not moved, so that the focus stays on a button.
  shown.forEach((item, at) => list.children[at] !== item && list.insertBefore(item, list.children[at] ?? null));
  if (hadFocus && !list.contains(document.activeElement)) (list.querySelector('button') ?? byId('dead-title')).focus();
}

function deadLetter({ id, name, error, completedAt }) {
  const retry = element('button', { className: 'quiet', type: 'button', textContent: 'Retry' });
  retry.onclick = () => act(retry, () => call('POST', `dead-letters/${id}/retry`));
  const when = completedAt === null ? '' : ` (${timeOf(completedAt)})`;
  const item = element('li', {}, element('p', { textContent: `${name}: ${error?.message ?? ''}${when}` }), retry);
  item.dataset.taskId = id;
  return item;
}

function showStatus({ pid, uptimeMs, gatewayIsUp, stats }) {
  seenAt = Date.now();
  byId('gateway').checked = gatewayIsUp;
  byId('kill').textContent = `kill -9 ${pid}`;
  const rows = {
    Status: stats.status,
    Running: stats.tasks.running,
    Queued: stats.tasks.queued + stats.tasks.delayed,
    Completed: stats.tasks.completed,
    Failed: stats.tasks.failed,
    Cancelled: stats.tasks.cancelled,
    Retried: stats.tasks.retried,
    Recovered: stats.tasks.recovered,
    'Entries on disk': stats.eventLog.durableSeq,
    'Entries in the database': stats.flush.appliedSeq,
    'Database is behind by': durationOf(stats.flush.lagMs),
    Subscribers: stats.streams.subscribers,
    'Up for': durationOf(uptimeMs),
    'Process id': pid,
  };
  byId('stats').replaceChildren(
    ...Object.entries(rows).flatMap(([name, value]) => {
      const shown = element('dd', { textContent: value });
      shown.dataset.stat = name;
      return [element('dt', { textContent: name }), shown];
    }),
  );
}

/** The figures of a process that does not answer are of the past, and its id is perhaps another's. */
function showAge() {
  byId('stats').dataset.stale = String(!isAnswering);
  byId('stats-note').textContent = isAnswering
    ? 'Of this process, since its start.'
    : `The server does not answer. ${seenAt === undefined ? '' : `As of ${timeOf(seenAt)}:`}`;
  if (!isAnswering) byId('kill').textContent = 'kill -9 …';
}

async function refresh() {
  const asked = view;
  try {
    const [tasks, deadLetters, status] = await Promise.all([call('GET', 'tasks'), call('GET', 'dead-letters'), call('GET', 'status')]);
    isAnswering = true;
    if (asked !== view) return;
    showStatus(status);
    showTasks(tasks);
    showDeadLetters(deadLetters);
  } catch {
    isAnswering = false;
  }
  showAge();
  showConnection();
}

async function keepRefreshing() {
  await refresh();
  setTimeout(() => void keepRefreshing(), POLL_MS);
}

function chooseUser(user) {
  view++;
  document.cookie = `user=${user}; path=/; max-age=31536000; samesite=strict`;
  for (const card of cards.values()) card.stream.close();
  cards.clear();
  byId('tasks').replaceChildren();
  showNotice();
}

for (const form of document.forms) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const input = Object.fromEntries(
      [...form.querySelectorAll('input')].map(({ name, type, value }) => [name, type === 'number' ? Number(value) : value]),
    );
    void act(form.querySelector('button'), () => submit(form.dataset.kind, input));
  });
}
byId('gateway').addEventListener('change', ({ target }) => void act(target, () => call('PUT', 'status/gateway', { isUp: target.checked })));
byId('user').addEventListener('change', ({ target }) => {
  chooseUser(target.value);
  void refresh();
});

const known = /(?:^|; )user=(alice|bob)/.exec(document.cookie)?.[1];
byId('user').value = known ?? 'alice';
chooseUser(byId('user').value);
void keepRefreshing();
