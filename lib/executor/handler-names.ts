import type { LoggerService } from '@nestjs/common';
import type { WorkFeed } from '../contracts/work-feed.interface.js';
import { HOW_TO_REGISTER } from '../errors/request.errors.js';
import type { HandlerRegistry } from '../handlers/handler-registry.js';

/** Tells the queue which tasks can run, and warns of those that wait for a handler: once per name, and not while names are still added. */
export class HandlerNames {
  private readonly warned = new Set<string>();
  private readonly early = new Set<string>();
  private isOpen = false;

  constructor(
    private readonly registry: HandlerRegistry,
    feed: Pick<WorkFeed, 'define'>,
    private readonly logger: LoggerService,
  ) {
    for (const name of registry.names()) feed.define(name);
    registry.onDefined(({ name }) => feed.define(name));
  }

  /** A task of that name waits. */
  look(name: string): void {
    if (this.registry.get(name) !== undefined || this.warned.has(name)) return;
    if (!this.isOpen) return void this.early.add(name);
    this.warned.add(name);
    this.logger.warn(`Tasks named "${name}" wait: no handler of that name is defined in this process. ${HOW_TO_REGISTER}`);
  }

  /** The start: who defines a name later is warned until then. */
  open(): void {
    this.isOpen = true;
    for (const name of this.early) this.look(name);
    this.early.clear();
  }
}
