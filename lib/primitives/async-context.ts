import { AsyncResource } from 'node:async_hooks';

/** Where the package was loaded: in nobody's request. Invariant: no code of a user runs directly in it, as what that enters would stay. */
const outside = new AsyncResource('TaskflowOutside');
const newContext = (): AsyncResource => new AsyncResource('TaskflowContext');

/**
 * Calls `setTimeout`, `setImmediate` or `queueMicrotask` so that what they run belongs to no request. Otherwise it would run in the
 * AsyncLocalStorage stores of whoever happened to ask for it, and a timer that is set again and again would keep those stores alive.
 */
export function outsideRequests<A extends unknown[], R>(schedule: (...args: A) => R, ...args: A): R {
  return outside.runInAsyncScope(schedule, undefined, ...args);
}

/** Runs `work` in an empty context of its own: it sees no store of the caller, and what it enters ends with it. */
export function inOwnContext<A extends unknown[], R>(work: (...args: A) => R, ...args: A): R {
  return outside.runInAsyncScope(newContext).runInAsyncScope(work, undefined, ...args);
}

/** The context of the caller, to come back to it with `runInAsyncScope`. It lives as long as whoever keeps it. */
export const callerContext = (): AsyncResource => new AsyncResource('TaskflowCaller');

/** The same object, each method called in an empty context: it works for many callers, and opens what outlives the first of them. */
export function inOwnContexts<T extends object>(target: T): T {
  return new Proxy(target, {
    get(object, key) {
      const member: unknown = Reflect.get(object, key, object);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => inOwnContext(() => Reflect.apply(member, object, args) as unknown);
    },
  });
}
