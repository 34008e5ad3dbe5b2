import { Injectable, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';

export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A provider that the package has to know, and where it was found. */
export interface DiscoveredProvider {
  /** The marked class. */
  readonly type: Type<unknown>;
  readonly wrapper: InstanceWrapper;
  /** For messages: module and class. */
  readonly moduleName: string;
  readonly className: string;
}

/** Finds the marked classes among the providers of all modules that are loaded by now. Yields data, registers nothing. */
@Injectable()
export class ProviderExplorer {
  constructor(private readonly discovery: DiscoveryService) {}

  *marked(isMarked: (type: unknown) => boolean): Generator<DiscoveredProvider> {
    // A full scan: Nest 11's look-up by decorator misses useFactory and useValue.
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const type = typesOf(wrapper).find(isMarked) as Type<unknown> | undefined;
      if (type === undefined) continue;
      const moduleName = wrapper.host?.metatype?.name ?? wrapper.host?.name ?? 'unknown module';
      yield { type, wrapper, moduleName, className: type.name };
    }
  }
}

/**
 * What was made counts, then what was promised: with `{ provide: SendEmail, useValue: double }` the double handles SendEmail's tasks.
 * The token is also all there is to know of a request-scoped factory before its first run.
 */
function typesOf(wrapper: InstanceWrapper): unknown[] {
  // An alias (`useExisting`) is found where it points to.
  if (wrapper.isAlias) return [];
  const instance = wrapper.instance as object | null | undefined;
  const made: unknown = typeof instance === 'object' ? instance?.constructor : undefined;
  return [made, wrapper.metatype, wrapper.token];
}

export const labelOf = ({ moduleName, className }: DiscoveredProvider): string => `${moduleName}.${className}`;
