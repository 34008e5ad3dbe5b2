import type { TaskAttempt, TaskContext } from '../contracts/task-handler.interface.js';
import type { InterceptorLink } from '../handlers/interceptor-chain.js';

/** One attempt that a spy saw. */
export interface HandlerCall<I = any> {
  /** As it was stored. A handler with `input` or `schema` gets what validation makes of it. */
  readonly input: I;
  readonly attempt: number;
  /** What the attempt returned, or threw; undefined while it runs. */
  readonly outcome?: { readonly returned: unknown } | { readonly threw: unknown };
}

/** Sees the attempts of one handler, and may answer in its place. */
export interface HandlerSpy<I = any, R = any> {
  readonly calls: readonly HandlerCall<I>[];
  /** From now on the handler is not called: this is, with the stored input. Called without one, the handler is again. */
  answer(instead?: (input: I, context: TaskContext) => R | Promise<R>): this;
}

interface Seen extends HandlerCall {
  outcome?: HandlerCall['outcome'];
}

export class HandlerSpies {
  private readonly spies = new Map<string, { seen: Seen[]; instead: ((input: any, context: TaskContext) => unknown) | undefined }>();

  /** Innermost, so that the application's own interceptors surround what answers in the handler's place. */
  readonly link: InterceptorLink = {
    order: Number.MAX_VALUE,
    name: 'TaskflowTesting',
    instance: () => ({ intercept: (attempt, next) => this.intercept(attempt, next) }),
  };

  of(name: string): HandlerSpy {
    const spy = this.spies.get(name) ?? { seen: [], instead: undefined };
    this.spies.set(name, spy);
    const handle: HandlerSpy = {
      calls: spy.seen,
      answer(instead) {
        spy.instead = instead;
        return handle;
      },
    };
    return handle;
  }

  private async intercept({ task, context }: TaskAttempt, next: () => Promise<unknown>): Promise<unknown> {
    const spy = this.spies.get(task.name);
    if (spy === undefined) return next();
    const call: Seen = { input: task.input, attempt: task.attempt };
    spy.seen.push(call);
    const { instead } = spy;
    try {
      const returned = await (instead === undefined ? next() : instead(task.input, context));
      call.outcome = { returned };
      return returned;
    } catch (threw) {
      call.outcome = { threw };
      throw threw;
    }
  }
}
