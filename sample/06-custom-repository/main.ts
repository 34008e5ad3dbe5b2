import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTaskSystem, type TaskSystem } from 'nestjs-taskflow';
import { JournalRepository } from './journal.repository.js';

/** One life of a process: the log and the journal are what the next one finds. */
async function withSystem(folder: string, work: (system: TaskSystem) => Promise<void>): Promise<void> {
  const system = await createTaskSystem({
    eventLog: { eventLogPath: join(folder, 'events.log') },
    repository: { type: 'custom', repository: new JournalRepository(join(folder, 'journal.jsonl')) },
  });
  system.defineTask<string, number>('measure', {
    handler: async (text, ctx) => {
      await ctx.progress({ text });
      return text.length;
    },
  });
  await system.initialize();
  try {
    await work(system);
  } finally {
    await system.shutdown();
  }
}

async function main(folder: string): Promise<void> {
  await withSystem(folder, async (system) => {
    const task = await system.submit('measure', { input: 'journal', idempotencyKey: 'once' });
    console.log(`measured: ${await system.result<number>(task)}`);
    await system.submit('measure', { input: 'later', delayMs: 3_600_000 });
  });
  await withSystem(folder, async (system) => {
    const task = await system.submit('measure', { input: 'journal', idempotencyKey: 'once' });
    console.log(`after a restart: ${task.status}, ${task.result as number}`);
    const { items } = await system.list();
    console.log(`all tasks: ${items.map(({ input, status }) => `${input as string} ${status}`).join(', ')}`);
  });
}

const folder = await mkdtemp(join(tmpdir(), 'taskflow-journal-'));
try {
  await main(folder);
} finally {
  await rm(folder, { recursive: true, force: true });
}
