import type { TaskflowHooks } from '../contracts/telemetry.interface.js';

/**
 * Ties metrics, traces and logs to what the application has.
 * @param parts.tracer a Tracer of `@opentelemetry/api`: `trace.getTracer('my-app')`.
 * @param parts.meter a Meter of it: `metrics.getMeter('my-app')`.
 * @param parts.logger any Nest LoggerService, `console` too. Default: Nest's Logger.
 */
export function createHooks(parts: { tracer?: unknown; meter?: unknown; logger?: unknown }): TaskflowHooks {
  const { tracer, meter, logger } = parts;
  return Object.freeze({ tracer, meter, logger });
}
