import type { FieldIssue } from '../errors/request.errors.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import { assignBranch } from './branch-assignment.js';
import { contradictions } from './option-contradictions.js';
import { resolveRepository } from './resolve-repository.js';
import type { TaskflowOptionsInput } from './taskflow-options.interface.js';
import { TaskflowOptions } from './taskflow.options.js';

/** Branches that are taken as they are, or by rules of their own. */
const BY_REFERENCE: ReadonlySet<string> = new Set(['repository', 'hooks']);

/**
 * What the engine reads, from what the user gave: a member left out or undefined takes its default; all is checked, then frozen.
 * `hooks`, connectors, custom repositories and TypeORM's own keys pass by reference: neither checked nor frozen.
 * @throws ConfigValidationError that lists every fault, with paths such as `guard.backpressure.windowSizeMs`.
 */
export function resolveOptions(input: TaskflowOptionsInput = {}): TaskflowOptions {
  const issues: FieldIssue[] = [];
  const options = new TaskflowOptions();
  const given = assignBranch({ target: options, input, path: '', byReference: BY_REFERENCE, issues });
  const repository = resolveRepository(given['repository'], issues);
  // Rules between fields are only worth reading where each of them is right.
  const wrong = new Set(issues.map(({ path }) => path));
  issues.push(...contradictions(options, repository, (path) => !wrong.has(path)));
  if (issues.length > 0) throw new ConfigValidationError(issues);
  return freeze(Object.assign(options, { repository, hooks: given['hooks'] }));
}

function freeze(options: TaskflowOptions): TaskflowOptions {
  const { hooks: _byReference, repository, ...branches } = options;
  freezeDeep(branches);
  Object.freeze(repository);
  return Object.freeze(options);
}

/** Only ever walks objects made here: option classes and their numbers, strings and booleans. */
function freezeDeep(value: object): void {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) freezeDeep(member as object);
  Object.freeze(value);
}
