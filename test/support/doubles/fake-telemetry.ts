import type { Telemetry } from '../../../lib/contracts/telemetry.interface.js';

/** Keeps what was registered, says nothing. */
export class FakeTelemetry implements Telemetry {
  readonly gauges = new Map<string, () => number>();
  readonly counts = new Map<string, number>();
  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
  record(): void {}
  gauge(name: string, read: () => number): void {
    this.gauges.set(name, read);
  }
  span: Telemetry['span'] = (_name, _options, work) => work({ outcome: () => undefined, error: () => undefined });
  traceparent(): undefined {
    return undefined;
  }
}
