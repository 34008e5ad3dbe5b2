import type { OtelSpanContext } from './open-telemetry.interface.js';

const VERSION_00 = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** By hand, as the application's own propagator may be of another format, or none. W3C Trace Context, section 3.2. */
export function parseTraceparent(text: string): OtelSpanContext | undefined {
  const [, traceId, spanId, flags] = VERSION_00.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

export function formatTraceparent({ traceId, spanId, traceFlags }: OtelSpanContext): string {
  return `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
}
