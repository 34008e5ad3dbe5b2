import { type BeforeApplicationShutdown, Injectable, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';

/** Last in Nest's order of start hooks, first in its order of closing hooks. A module's distance from the root is 1 or more. */
const OUTERMOST = -1;
/** Last in its order of closing hooks. */
const INNERMOST = Number.MAX_SAFE_INTEGER;

type Step = () => Promise<void>;

/** The application's edges: hears last that it starts, and first that it closes. */
@Injectable()
export class ApplicationEdges implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly starts: Step[] = [];
  private readonly closings: Step[] = [];

  /** Called when every other provider's `onApplicationBootstrap` is over. */
  onUp(step: Step): void {
    this.starts.push(step);
  }

  /** Called before any other provider's `onModuleDestroy`, which waits for it. */
  onClosing(step: Step): void {
    this.closings.push(step);
  }

  async onApplicationBootstrap(): Promise<void> {
    for (const step of this.starts) await step();
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.closings.map((step) => step()));
  }
}

/** The last moment before Nest closes the server's port. */
@Injectable()
export class ApplicationExit implements BeforeApplicationShutdown {
  private readonly steps: Step[] = [];

  /** Called when every other provider's `beforeApplicationShutdown` is over. */
  onLeaving(step: Step): void {
    this.steps.push(step);
  }

  async beforeApplicationShutdown(): Promise<void> {
    for (const step of this.steps) await step();
  }
}

/** Stands farther from the root than any other module: see `ApplicationEdgesModule`. */
@Module({ providers: [ApplicationExit], exports: [ApplicationExit] })
export class ApplicationExitModule {
  constructor(modules: ModulesContainer) {
    place(modules, ApplicationExitModule, INNERMOST);
  }
}

/**
 * Nest calls start hooks module by module, the farthest from the root first, and closing hooks the other way round. A dependency of a
 * handler may stand in any module, the root included; so this module stands nearer than the root. Where Nest does not let it, its
 * hooks come when those of an ordinary module do.
 */
@Module({ providers: [ApplicationEdges], exports: [ApplicationEdges] })
export class ApplicationEdgesModule {
  constructor(modules: ModulesContainer) {
    place(modules, ApplicationEdgesModule, OUTERMOST);
  }
}

function place(modules: ModulesContainer, type: object, distance: number): void {
  for (const module of modules.values()) if (module.metatype === type) module.distance = distance;
}
