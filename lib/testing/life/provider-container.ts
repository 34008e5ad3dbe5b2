import type { FactoryProvider, Provider, Type } from '@nestjs/common';

type Token = unknown;
interface Dependency {
  readonly index: number;
  readonly param: Token;
}

/**
 * Providers wired as Nest wires them, by the metadata that its decorators leave, without Nest's scan of modules: a random test starts
 * the system thousands of times. That Nest itself wires them alike, the e2e tests show.
 */
export class ProviderContainer {
  private readonly providers = new Map<Token, Provider>();
  private readonly made = new Map<Token, unknown>();

  /** A later provider of a token replaces an earlier one. */
  constructor(providers: readonly Provider[]) {
    for (const provider of providers) this.providers.set(typeof provider === 'function' ? provider : provider.provide, provider);
  }

  get<T>(token: Type<T> | symbol): T {
    return this.resolve(token) as T;
  }

  private resolve(token: Token): unknown {
    if (this.made.has(token)) return this.made.get(token);
    const provider = this.providers.get(token);
    if (provider === undefined) throw new Error(`Nothing provides ${String(token)}.`);
    const instance = this.make(provider);
    this.made.set(token, instance);
    return instance;
  }

  private make(provider: Provider): unknown {
    if (typeof provider === 'function') return this.construct(provider as Type);
    if ('useValue' in provider) return provider.useValue;
    if ('useExisting' in provider) return this.resolve(provider.useExisting);
    if ('useClass' in provider) return this.construct(provider.useClass);
    const { useFactory, inject = [] } = provider as FactoryProvider;
    return useFactory(...inject.map((token) => this.resolve(token)));
  }

  private construct(type: Type): unknown {
    const tokens = [...((Reflect.getMetadata('design:paramtypes', type) as Token[] | undefined) ?? [])];
    const named = (Reflect.getMetadata('self:paramtypes', type) as Dependency[] | undefined) ?? [];
    for (const { index, param } of named) tokens[index] = param;
    return new type(...tokens.map((token) => this.resolve(token)));
  }
}
