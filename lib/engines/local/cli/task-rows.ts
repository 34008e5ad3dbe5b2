import type { TaskStore } from '../../../contracts/task-store.interface.js';
import { snapshotOf } from '../../../domain/task-snapshot.js';
import type { TaskState } from '../../../domain/task-state.js';
import type { CommandContext } from '../../../cli/command.interface.js';
import { LogCursorFile } from '../wal/cursor-file.js';
import { createTaskStore } from '../storage/repository.factory.js';
import { databasePorts, requireDatabaseFile, requiredRepository } from './database-access.js';

/** Rows of the database that was named, quarantined tasks as the log says. */
export async function withRows<T>(context: CommandContext, work: (store: TaskStore) => Promise<T>): Promise<T> {
  const { fs, args } = context;
  const options = requiredRepository(args);
  await requireDatabaseFile(fs, options);
  const store = createTaskStore(options, { ...databasePorts(context), cursorFile: new LogCursorFile(fs, args.path), logId: () => '' });
  try {
    await store.open();
    return await work(store);
  } finally {
    await store.close();
  }
}

/** For `--json`: the task as code on the server sees it, and what only an operator asks for. */
export const reportOf = (state: TaskState): object => ({ ...snapshotOf(state, true), home: state.home, owner: state.owner });

/** One line of a list. */
export function lineOf(state: TaskState): string {
  const parts = [state.id, state.status.padEnd(9), new Date(state.createdAt).toISOString(), state.name];
  if (state.userId !== null) parts.push(`user ${state.userId}`);
  if (state.attempt > 1) parts.push(`attempt ${state.attempt}`);
  if (state.progress !== undefined) parts.push(short(state.progress));
  if (state.error !== null) parts.push(`${state.error.name}: ${short(state.error.message)}`);
  return parts.join('  ');
}

const MOST_CHARACTERS = 80;
export const short = (text: string): string => (text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text);
