import { AsyncResource } from 'node:async_hooks';

/** Where the package was loaded: in nobody's request. Invariant: no code of a user runs directly in it, as what that enters would stay. */
const outside = new AsyncResource('TaskflowOutside');
const newContext = (): AsyncResource => new AsyncResource('TaskflowContext');

/**
 * Calls `setImmediate` or `queueMicrotask` so that what they run belongs to no request. Otherwise it would run in the
 * AsyncLocalStorage stores of whoever happened to ask for it, and a timer that is set again and again would keep those stores alive.
 */
export function outsideRequests<R>(schedule: (turn: () => void) => R, turn: () => void): R {
  return outside.runInAsyncScope(schedule, undefined, turn);
}

/** `setTimeout`, as `outsideRequests`. */
export function timeoutOutsideRequests(callback: () => void, delayMs: number): NodeJS.Timeout {
  return outside.runInAsyncScope(setTimeout as (callback: () => void, delayMs: number) => NodeJS.Timeout, undefined, callback, delayMs);
}

/** The context for the next call of `inOwnContext`. */
let next = newContext();

/** Runs `work` in an empty context of its own: it sees no store of the caller, and what it enters ends with it. */
export function inOwnContext<R>(work: () => R): R;
export function inOwnContext<A, R>(work: (argument: A) => R, argument: A): R;
export function inOwnContext(work: (argument?: unknown) => unknown, argument?: unknown): unknown {
  return next.runInAsyncScope(begin, undefined, work, argument);
}

function begin(work: (argument: unknown) => unknown, argument: unknown): unknown {
  // Made here, where nothing was entered yet: a scope only to make it in would cost as much again.
  next = newContext();
  return work(argument);
}

/** The context of the caller, to come back to it with `runInAsyncScope`. It lives as long as whoever keeps it. */
export const callerContext = (): AsyncResource => new AsyncResource('TaskflowCaller');

/** The same object, each method called in an empty context: it works for many callers, and opens what outlives the first of them. */
export function inOwnContexts<T extends object>(target: T): T {
  const wrapped = Object.create(target) as T;
  for (const key of methodsOf(target)) {
    const value = (...args: unknown[]): unknown =>
      inOwnContext((given) => Reflect.apply(Reflect.get(target, key) as (...given: unknown[]) => unknown, target, given), args);
    Object.defineProperty(wrapped, key, { value, writable: true, configurable: true });
  }
  return wrapped;
}

function methodsOf(target: object): Set<PropertyKey> {
  const keys = new Set<PropertyKey>();
  for (
    let owner: object | null = target;
    owner !== null && owner !== Object.prototype;
    owner = Object.getPrototypeOf(owner) as object | null
  )
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(owner)))
      if (typeof value === 'function' && key !== 'constructor') keys.add(key);
  return keys;
}
