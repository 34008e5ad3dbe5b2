import { TaskSystemError } from './task-system.error.js';

/**
 * How an engine refuses a fact, whatever makes facts durable in it. `later`: the engine takes none at this moment, nothing happened, and
 * `FactWriter.whenAccepting` tells when to decide again. `never`: this process makes no more facts, or this fact can never be made.
 */
export type Refusal = 'later' | 'never';

export interface FactRefused extends TaskSystemError {
  readonly refusal: Refusal;
  /** `none`: the fact does not exist and never will; `unknown`: it may or may not be found later. */
  readonly outcome: 'none' | 'unknown';
}

/** True for an error by which an engine refused a fact; false for everything else, such as an entry that is over its limit. */
export function isFactRefused(error: unknown): error is FactRefused {
  return TaskSystemError.is(error) && 'refusal' in error && 'outcome' in error;
}

/** True when the same fact may be made a moment later: nobody loses anything by waiting. */
export const isRefusedForNow = (error: unknown): error is FactRefused => isFactRefused(error) && error.refusal === 'later';
