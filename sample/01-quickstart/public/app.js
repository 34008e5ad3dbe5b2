import { call, submit } from './api.js';
import { element, TaskCard } from './task-card.js';

const POLL_MS = 1_000;
/** A browser has six connections to a server over HTTP/1.1, and the page needs some itself. Over HTTP/2 there is no such limit. */
const MAX_STREAMS = 4;

const byId = (id) => document.getElementById(id);
const cards = new Map();
let isAnswering = true;
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
  button.disabled = true;
  showNotice();
  try {
    await action();
    await refresh();
  } catch (error) {
    showNotice(error);
  } finally {
    button.disabled = false;
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

function openStreams() {
  const all = [...cards.values()];
  let free = MAX_STREAMS - all.filter(({ stream }) => stream.isOpen).length;
  for (const card of all.filter((each) => each.wantsEvents)) {
    if (free-- <= 0) return;
    card.stream.open();
  }
}

function showTasks({ items }) {
  for (const task of items) cardOf(task);
  byId('no-tasks').hidden = cards.size > 0;
  openStreams();
}

function showDeadLetters({ items }) {
  const list = byId('dead-letters');
  const shown = items.map(({ id }) => id).join();
  byId('no-dead-letters').hidden = items.length > 0;
  // Untouched while nothing changes, so that the focus stays on a button.
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(
    ...items.map(({ id, name, error }) => {
      const retry = element('button', { className: 'quiet', type: 'button', textContent: 'Retry' });
      retry.onclick = () => act(retry, () => call('POST', `dead-letters/${id}/retry`));
      const item = element('li', {}, element('p', { textContent: `${name}: ${error?.message ?? ''}` }), retry);
      item.dataset.taskId = id;
      return item;
    }),
  );
}

function showStatus({ pid, gatewayIsUp, stats }) {
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
    Subscribers: stats.streams.subscribers,
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
