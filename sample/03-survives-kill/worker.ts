import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTaskSystem, type RecoveryContext, type Task, type TaskContext, type TaskEvent } from 'nestjs-taskflow';

/** What the worker tells the terminal: an event of the import's stream, or that the stream is over. */
export type FromWorker = { readonly event: TaskEvent } | { readonly result: number };

interface Import {
  readonly rows: number;
  readonly rowMs: number;
}

const [folder = '', rows = '', rowMs = '', lastSeq = ''] = process.argv.slice(2);

async function importFrom(done: number, input: Import, ctx: TaskContext): Promise<number> {
  for (; done < input.rows;) {
    await sleep(input.rowMs, undefined, { signal: ctx.signal });
    await ctx.progress({ done: ++done, total: input.rows });
  }
  return done;
}

/** Goes on after the last row whose progress reached the disk. */
async function recover(task: Task<Import>, ctx: RecoveryContext): Promise<{ recovered: boolean; result: number }> {
  const last = ctx.previousEvents.findLast(({ type }) => type === 'progress');
  return { recovered: true, result: await importFrom(last?.payload.done ?? 0, task.input, ctx) };
}

const say = (message: FromWorker): void => void process.send?.(message);

async function main(): Promise<void> {
  const system = await createTaskSystem({
    eventLog: { eventLogPath: join(folder, 'events.log') },
    repository: { type: 'sqlite', database: join(folder, 'tasks.db') },
  });
  system.defineTask<Import, number>('import', { handler: (input, ctx) => importFrom(0, input, ctx), recovery: recover });
  await system.initialize();
  // The worker that is started after the kill submits again, with the same key: it gets the task that is there.
  const input = { rows: Number(rows), rowMs: Number(rowMs) };
  const task = await system.submit('import', { input, idempotencyKey: 'the-import' });
  for await (const event of system.subscribe(task, { lastSeq: Number(lastSeq) })) say({ event });
  say({ result: await system.result<number>(task) });
  await system.shutdown();
  process.disconnect?.();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
