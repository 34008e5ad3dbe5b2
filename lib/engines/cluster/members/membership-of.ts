import type { LoggerService } from '@nestjs/common';
import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { HandlerRegistry } from '../../../handlers/handler-registry.js';
import type { ClusterStorage } from '../storage/cluster-storage.js';
import { InlineBeater } from './inline-beater.js';
import { Membership } from './membership.js';
import { CLUSTER_VERSION, configHash } from './shared-config.js';
import { ThreadBeater } from './thread-beater.js';

export interface MembershipSurroundings {
  readonly options: TaskflowOptions;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: LoggerService;
  readonly handlers: HandlerRegistry;
  readonly storage: ClusterStorage;
}

/** The membership of a node, whose beats leave from a thread of their own where one can be had. */
export function membershipOf({ options, clock, ids, logger, handlers, storage }: MembershipSurroundings): Membership {
  const { leaseTtlMs, beatIntervalMs } = options.cluster;
  const beater = new ThreadBeater({
    repository: options.repository,
    intervalMs: beatIntervalMs,
    maxBlockedMs: options.recovery.staleThresholdMs,
    clock,
    logger,
    inline: () => new InlineBeater(storage.beats, clock, beatIntervalMs, () => ids.random()),
  });
  const describe = () => ({ version: CLUSTER_VERSION, handlers: handlers.names(), configHash: configHash(options) });
  return new Membership({ functions: storage.functions, beater, clock, ids, logger, leaseTtlMs, describe });
}
