import { Injectable, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { HandlerInstance } from '../contracts/handler-registry.interface.js';
import { taskHandlerMetadata, type TaskHandlerMetadata } from './task-handler.decorator.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A provider that handles a task, and where it was found. */
export interface DiscoveredHandler {
  readonly metadata: TaskHandlerMetadata;
  /** The decorated class: what `submit(SendEmail, …)` names. */
  readonly type: Type<HandlerInstance>;
  readonly wrapper: InstanceWrapper;
  readonly className: string;
  readonly moduleName: string;
}

/** Finds the classes marked with `@TaskHandler` among the providers of all modules. Yields data, registers nothing. */
@Injectable()
export class TaskHandlerExplorer {
  constructor(private readonly discovery: DiscoveryService) {}

  *explore(): Generator<DiscoveredHandler> {
    // A full scan: Nest 11's look-up by decorator misses useFactory and useValue.
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const type = decoratedTypeOf(wrapper);
      for (const metadata of taskHandlerMetadata(type)) {
        const moduleName = wrapper.host?.metatype?.name ?? wrapper.host?.name ?? 'unknown module';
        yield { metadata, type: type as Type<HandlerInstance>, wrapper, className: (type as Type).name, moduleName };
      }
    }
  }
}

/**
 * What was made counts, then what was promised: with `{ provide: SendEmail, useValue: double }` the double handles SendEmail's tasks.
 * The token is also all there is to know of a request-scoped factory before its first run.
 */
function decoratedTypeOf(wrapper: InstanceWrapper): unknown {
  // An alias (`useExisting`) is found where it points to.
  if (wrapper.isAlias) return undefined;
  const instance = wrapper.instance as object | null | undefined;
  const made: unknown = typeof instance === 'object' ? instance?.constructor : undefined;
  return [made, wrapper.metatype, wrapper.token].find((type) => taskHandlerMetadata(type).length > 0);
}
