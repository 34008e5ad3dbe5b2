import type { TaskRepository } from '../../contracts/task-repository.interface.js';
import { Bench } from './bench.js';
import { BATCH_CHECKS } from './checks/batches.checks.js';
import { CONTENT_CHECKS } from './checks/content.checks.js';
import { LOOKUP_CHECKS } from './checks/lookups.checks.js';
import { LIST_CHECKS } from './checks/lists.checks.js';
import type { Check } from './checks/check.interface.js';
import { type RepositorySubject } from './subject.js';
import { watched } from './watched-repository.js';

export { RepositoryFault, type RepositorySubject } from './subject.js';

/** One promise of `TaskRepository`, and how it is found broken. */
export interface RepositoryCheck {
  readonly name: string;
  /** A check of a member that the repository need not have, and has not, does nothing. @throws RepositoryFault; what the repository throws. */
  run(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const CHECKS: readonly Check[] = [...BATCH_CHECKS, ...LOOKUP_CHECKS, ...CONTENT_CHECKS, ...LIST_CHECKS];

/** Everything that the task system asks of a repository, check by check; each has a store of its own. For any test framework. */
export function repositoryChecks(subject: RepositorySubject): RepositoryCheck[] {
  return CHECKS.map(({ name, run }) => ({ name, run: () => withRepository(subject, run) }));
}

/** The same as tests of a framework: `describeRepository('MyRepository', { describe, it }, { create: () => new MyRepository() })`. */
export function describeRepository(
  name: string,
  framework: { describe: (name: string, body: () => void) => unknown; it: (name: string, body: () => Promise<void>) => unknown },
  subject: RepositorySubject,
): void {
  framework.describe(`${name} as a TaskRepository`, () => {
    for (const check of repositoryChecks(subject)) framework.it(check.name, () => check.run());
  });
}

async function withRepository(subject: RepositorySubject, run: Check['run']): Promise<void> {
  const timeoutMs = subject.callTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const made: TaskRepository[] = [];
  const opened = async (own: TaskRepository): Promise<TaskRepository> => {
    made.push(own);
    const repository = watched(own, timeoutMs);
    await repository.initialize();
    return repository;
  };
  const own = await subject.create();
  try {
    const repository = await opened(own);
    const reopened = subject.reopen === undefined ? undefined : async () => opened(await subject.reopen!(own));
    await run(new Bench(repository, reopened));
    for (const each of made) await watched(each, timeoutMs).close();
  } finally {
    await subject.dispose?.(own);
  }
}
