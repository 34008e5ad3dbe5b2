import type { TaskRepository } from '../../contracts/task-repository.interface.js';

export type DatabaseFailure = 'database-away' | 'database-silent';

/** What all lives of a process have in common: whether the database answers, and how much it was asked. */
export class DatabaseState {
  failure: DatabaseFailure | undefined;
  /** Calls so far. */
  calls = 0;
  /** Calls that will be answered. */
  underWay = 0;
}

/** A repository as one life of a process reaches it: not at all while the database is away, and never again once that life is over. */
export function gated(repository: TaskRepository, state: DatabaseState, isOver: () => boolean): TaskRepository {
  return new Proxy(repository, {
    get: (target, member) => {
      const value: unknown = Reflect.get(target, member, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => ask(() => Reflect.apply(value, target, args) as unknown, state, isOver);
    },
  });
}

async function ask(call: () => unknown, state: DatabaseState, isOver: () => boolean): Promise<unknown> {
  if (isOver()) return never();
  state.calls += 1;
  if (state.failure === 'database-silent') return never();
  if (state.failure === 'database-away') throw new Error('connect ECONNREFUSED: the database is away, as the test has it.');
  state.underWay += 1;
  try {
    const answer = await call();
    return isOver() ? await never() : answer;
  } finally {
    state.underWay -= 1;
  }
}

const never = (): Promise<never> => new Promise(() => {});
