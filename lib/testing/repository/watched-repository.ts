import type { TaskRepository } from '../../contracts/task-repository.interface.js';
import { withinReal } from '../real-time.js';
import { RepositoryFault } from './subject.js';

const ARRAYS: ReadonlySet<string> = new Set(['findStaleTasks', 'getEvents', 'getEventsAfter', 'findEnded']);
const PAGES: ReadonlySet<string> = new Set(['list', 'findActive']);
const REQUIRED = [
  'initialize',
  'executeBatch',
  'findById',
  'findByIdempotencyKey',
  'findStaleTasks',
  'getEvents',
  'healthCheck',
  'close',
] as const;

/** The repository with what holds for every call: it answers by a promise, in time, with what was asked for. */
export function watched(repository: TaskRepository, timeoutMs: number): TaskRepository {
  const missing = REQUIRED.filter((member) => typeof repository?.[member] !== 'function');
  if (missing.length > 0) throw new RepositoryFault(`The repository lacks ${missing.join(', ')}.`);
  return new Proxy(repository, {
    get: (target, member: string) => {
      const value: unknown = Reflect.get(target, member, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => call(member, () => Reflect.apply(value, target, args) as unknown, timeoutMs);
    },
  });
}

async function call(member: string, work: () => unknown, timeoutMs: number): Promise<unknown> {
  let answer: unknown;
  try {
    answer = work();
  } catch (error) {
    throw new RepositoryFault(`${member}() threw at once, where a promise that rejects is expected: ${String(error)}`);
  }
  if (typeof (answer as PromiseLike<unknown> | undefined)?.then !== 'function')
    throw new RepositoryFault(`${member}() gave ${typeof answer}, where a promise is expected.`);
  const late = (): Error => new RepositoryFault(`${member}() did not answer within ${timeoutMs} ms.`);
  const value = await withinReal(Promise.resolve(answer), timeoutMs, late);
  const found = ARRAYS.has(member) ? value : PAGES.has(member) ? (value as { items?: unknown } | null)?.items : [];
  if (!Array.isArray(found)) throw new RepositoryFault(`${member}() answered with ${JSON.stringify(value)}, where an array is expected.`);
  return value;
}
