import { Injectable } from '@nestjs/common';
import { type ContextId, ContextIdFactory, ModuleRef } from '@nestjs/core';
import type { InstanceWrapper } from './provider-explorer.js';

/** Turns of the event loop that a provider of a lazily loaded module is waited for. */
const MAX_TURNS = 10_000;

/** How attempts come by providers: the provider itself, or a new one per attempt where its scope asks for that. */
@Injectable()
export class AttemptProviders {
  /** One injection context per attempt, so that handler and interceptors share what is request-scoped; durable trees have their own. */
  private readonly contexts = new WeakMap<object, ContextId>();
  private readonly durableContexts = new WeakMap<object, ContextId>();

  constructor(private readonly moduleRef: ModuleRef) {}

  /** @returns a function that is given what `@Inject(REQUEST)` shall be: one object per attempt. */
  of<T>(wrapper: InstanceWrapper): (request: () => object) => T | Promise<T> {
    // Decided at the first attempt, since a lazily loaded provider is known before its dependencies are.
    let shared: T | undefined;
    return (request) => {
      if (shared !== undefined) return shared;
      if (!isConstructed(wrapper)) return constructed(wrapper).then(() => this.instance<T>(wrapper, request));
      if (isShared(wrapper)) return (shared = wrapper.instance as T);
      return this.instance(wrapper, request);
    };
  }

  private instance<T>(wrapper: InstanceWrapper, request: () => object): T | Promise<T> {
    if (isShared(wrapper)) return wrapper.instance as T;
    const contextId = this.contextOf(request(), wrapper.isDependencyTreeDurable());
    return this.moduleRef.resolve<T>(wrapper.token as never, contextId, { strict: false });
  }

  /** As Nest does it for an HTTP request: `ContextIdFactory` asks the application's strategy, and durable providers get its payload. */
  private contextOf(request: object, isDurable: boolean): ContextId {
    const contexts = isDurable ? this.durableContexts : this.contexts;
    let contextId = contexts.get(request);
    if (contextId === undefined) {
      contextId = ContextIdFactory.getByRequest(request as Record<string, unknown>);
      contexts.set(request, contextId);
      const payload: unknown = contextId.payload;
      // A durable provider outlives this attempt: with a strategy it is given what is common to all attempts of its kind.
      const given = isDurable && contextId.getParent !== undefined ? payload : Object.assign(request, payload);
      this.moduleRef.registerRequestByContextId(given, contextId);
    }
    return contextId;
  }
}

/** One object for all runs. A transient provider is static in Nest's terms, but what its wrapper holds was never constructed. */
export const isShared = (wrapper: InstanceWrapper): boolean => wrapper.isDependencyTreeStatic() && !wrapper.isTransient;

/** False while Nest still makes it: then neither its instance nor its scope can be relied on. */
export const isConstructed = (wrapper: InstanceWrapper): boolean => !wrapper.metatype || wrapper.initTime !== undefined;

/** Only during the load of a lazy module: its handlers are registered as soon as Nest names them. */
async function constructed(wrapper: InstanceWrapper): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS && !isConstructed(wrapper); turn++) await new Promise((resolve) => setImmediate(resolve));
}
