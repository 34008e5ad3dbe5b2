import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTaskSystem, type TaskContext, TaskFailedError, type TaskSystem, type TaskYield } from 'nestjs-taskflow';

interface Words {
  readonly text: string;
}

async function* countWords({ text }: Words, { signal }: TaskContext): AsyncGenerator<TaskYield, number, void> {
  const words = text.split(' ');
  for (const [at, word] of words.entries()) {
    await sleep(50, undefined, { signal });
    yield { type: 'progress', payload: { word, done: at + 1, total: words.length } };
  }
  return words.length;
}

function defineTasks(system: TaskSystem): void {
  system.defineTask<Words, number>('count-words', { handler: countWords });
  system.defineTask('call-service', {
    retry: { maxAttempts: 2, initialDelayMs: 100 },
    handler: async () => {
      throw new Error('The service does not answer.');
    },
  });
}

async function watchOne(system: TaskSystem): Promise<void> {
  const task = await system.submit('count-words', { input: { text: 'an acknowledged task survives every crash' } });
  console.log(`submitted ${task.name}: on disk, status ${task.status}`);
  for await (const event of system.subscribe(task)) {
    console.log(`  ${event.seq} ${event.type}${event.payload === undefined ? '' : ` ${JSON.stringify(event.payload)}`}`);
  }
  console.log(`result: ${await system.result<number>(task)} words`);
}

async function submitTwice(system: TaskSystem): Promise<void> {
  const params = { input: { text: 'once only' }, idempotencyKey: 'the-same-click' };
  const [first, second] = await Promise.all([system.submit('count-words', params), system.submit('count-words', params)]);
  console.log(`the same key twice: ${first.id === second.id ? 'one task' : 'two tasks'}`);
  await system.result(first);
}

async function failOne(system: TaskSystem): Promise<void> {
  const task = await system.submit('call-service', { input: null });
  const error: unknown = await system.result(task).catch((failure: unknown) => failure);
  if (!TaskFailedError.is(error)) throw error;
  console.log(`${task.name} failed after ${error.task.attempt} attempts: ${error.task.error?.message}`);
  const { items } = await system.list({ deadLettered: true });
  console.log(`dead letters: ${items.map(({ name }) => name).join(', ')}`);
}

async function main(folder: string): Promise<void> {
  const system = await createTaskSystem({
    eventLog: { eventLogPath: join(folder, 'events.log') },
    repository: { type: 'sqlite', database: join(folder, 'tasks.db') },
  });
  defineTasks(system);
  await system.initialize();
  try {
    await watchOne(system);
    await submitTwice(system);
    await failOne(system);
  } finally {
    await system.shutdown();
  }
  console.log('shut down cleanly');
}

const folder = await mkdtemp(join(tmpdir(), 'taskflow-standalone-'));
try {
  await main(folder);
} finally {
  await rm(folder, { recursive: true, force: true });
}
