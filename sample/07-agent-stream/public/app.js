const [form, cancel, state, answer] = ['ask', 'cancel', 'state', 'answer'].map((id) => document.getElementById(id));
let source;

/** Of the stream; also what the button to cancel goes by. */
function show(name) {
  state.textContent = name;
  state.dataset.state = name;
  cancel.disabled = name !== 'answering' && name !== 'reconnecting';
}

/** Shows a task from its first token on. Its id is in the address, so that a reload finds it. */
function watch(id) {
  source?.close();
  answer.textContent = '';
  location.hash = id;
  show('answering');
  source = new EventSource(`tasks/${id}/events`);
  source.onopen = () => show('answering');
  source.addEventListener('custom', ({ data }) => {
    const { eventName, payload } = JSON.parse(data);
    if (eventName === 'token') answer.append(payload.text);
  });
  for (const end of ['complete', 'failed', 'cancelled'])
    source.addEventListener(end, () => {
      source.close();
      show(end);
    });
  // It reconnects by itself, with the id of the last event; only a refusal ends it.
  source.onerror = () => show(source.readyState === EventSource.CLOSED ? 'lost' : 'reconnecting');
}

async function ask(prompt) {
  const body = JSON.stringify({ name: 'agent', input: { prompt } });
  const reply = await fetch('tasks', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const task = await reply.json();
  if (reply.ok) watch(task.id);
  else show(task.message);
}

const unreachable = () => show('the server does not answer');
form.addEventListener('submit', (event) => {
  event.preventDefault();
  ask(form.prompt.value).catch(unreachable);
});
cancel.addEventListener('click', () => {
  fetch(`tasks/${location.hash.slice(1)}`, { method: 'DELETE' }).catch(unreachable);
});

if (location.hash.length > 1) watch(location.hash.slice(1));
