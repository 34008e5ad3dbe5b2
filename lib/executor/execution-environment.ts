import { Inject, Injectable, type LoggerService } from '@nestjs/common';
import { CLOCK, ID_SOURCE, LOGGER, TASKFLOW_OPTIONS, TELEMETRY } from '../config/taskflow.tokens.js';
import type { Clock, IdSource } from '../contracts/clock.interface.js';
import type { RegisteredHandler } from '../contracts/handler-registry.interface.js';
import type { Telemetry } from '../contracts/telemetry.interface.js';

/** The options that this floor reads. */
export interface ExecutionSettings {
  readonly executor: {
    readonly enabled: boolean;
    readonly heartbeatIntervalMs: number;
    readonly defaultTimeoutMs: number;
    readonly tickIntervalMs: number;
    readonly retry: RegisteredHandler['retry'];
  };
  readonly recovery: { readonly staleThresholdMs: number };
  readonly shutdown: { readonly timeoutMs: number; readonly forceKillTimeoutMs: number };
  readonly limits: { readonly maxEventBytes: number; readonly maxResultBytes: number; readonly maxDepth: number };
}

/** What every part of this floor needs of the world. */
@Injectable()
export class ExecutionEnvironment {
  constructor(
    @Inject(TASKFLOW_OPTIONS) readonly options: ExecutionSettings,
    @Inject(CLOCK) readonly clock: Clock,
    @Inject(ID_SOURCE) readonly ids: IdSource,
    @Inject(TELEMETRY) readonly telemetry: Telemetry,
    @Inject(LOGGER) readonly logger: LoggerService,
  ) {}
}
