import { Injectable } from '@nestjs/common';
import type { TaskAttempt } from '../contracts/task-handler.interface.js';
import { callingFile, isCalledFrom } from '../primitives/called-from.js';
import type { TaskInterceptor } from './task-interceptor.decorator.js';

const HERE = callingFile();

/** True in what an interceptor calls, and in what it awaits. */
export const isInsideInterceptor = (): boolean => isCalledFrom(HERE, 'enter');

/** One interceptor of the chain. */
export interface InterceptorLink {
  readonly order: number;
  readonly name: string;
  /** @param attempt what `@Inject(REQUEST)` gives. */
  instance(attempt: () => TaskAttempt): TaskInterceptor | Promise<TaskInterceptor>;
}

/** What surrounds every attempt, from the outermost to the innermost. */
@Injectable()
export class InterceptorChain {
  private links: readonly InterceptorLink[] = [];

  get isEmpty(): boolean {
    return this.links.length === 0;
  }

  /** Attempts under way keep the chain that they began with. */
  add(link: InterceptorLink): void {
    this.links = [...this.links, link].sort((a, b) => a.order - b.order);
  }

  /** @param innermost the attempt itself. */
  around(attempt: TaskAttempt, innermost: () => Promise<unknown>): Promise<unknown> {
    return enter(this.links, 0, attempt, innermost);
  }
}

async function enter(
  links: readonly InterceptorLink[],
  at: number,
  attempt: TaskAttempt,
  innermost: () => Promise<unknown>,
): Promise<unknown> {
  const link = links[at];
  if (link === undefined) return innermost();
  let isCalled = false;
  const next = (): Promise<unknown> => {
    if (isCalled) return Promise.reject(new Error(`${link.name} called next() twice: an attempt runs once.`));
    isCalled = true;
    const result = enter(links, at + 1, attempt, innermost);
    result.catch(() => undefined); // whoever does not wait for it must not take the process down
    return result;
  };
  const made = link.instance(() => attempt);
  const interceptor = await made;
  // Awaited, so that the stack of what it calls leads here.
  return await interceptor.intercept(attempt, next);
}
