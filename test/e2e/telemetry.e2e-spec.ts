import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { createHooks, NonRetryableError, type TaskContext, type TaskflowOptionsInput, type TaskSystem } from 'nestjs-taskflow';
import { eventually } from '../support/clock/patience.js';
import { TestFolder } from '../support/process/task-system.js';

const SECRETS = [
  'user-hush-hush',
  'key-hush-hush',
  'input-hush-hush',
  'event-hush-hush',
  'result-hush-hush',
  'error-hush-hush',
  'tag-hush-hush',
  'reason-hush-hush',
];
const COUNTERS = ['submitted', 'completed', 'failed', 'cancelled', 'retried', 'recovered']
  .map((name) => `taskflow.tasks.${name}`)
  .concat('taskflow.guard.rejections', 'taskflow.flush.entries');
const GAUGES = [
  'taskflow.tasks.running',
  'taskflow.tasks.queued',
  'taskflow.dlq.size',
  'taskflow.streams.active',
  'taskflow.eventlog.unflushed_bytes',
  'taskflow.flush.lag_ms',
];
const HISTOGRAMS = ['taskflow.task.duration_ms', 'taskflow.task.queue_wait_ms', 'taskflow.eventlog.sync_ms'];
const SPANS = ['taskflow.task.execute', 'taskflow.task.handler', 'taskflow.flush.batch', 'taskflow.recovery.scan'];

const contexts = new AsyncLocalStorageContextManager().enable();
beforeAll(() => void context.setGlobalContextManager(contexts));
afterAll(() => context.disable());

/** Everything that leaves the system, kept in memory. */
class Observatory {
  readonly spans = new InMemorySpanExporter();
  readonly lines: unknown[][] = [];
  private readonly metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  private readonly reader = new PeriodicExportingMetricReader({ exporter: this.metricExporter, exportIntervalMillis: 3_600_000 });
  private readonly meters = new MeterProvider({ readers: [this.reader] });
  private readonly tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(this.spans)] });
  readonly tracer = this.tracers.getTracer('test');

  get hooks() {
    const keep = (...line: unknown[]): void => void this.lines.push(line);
    const logger = { log: keep, error: keep, warn: keep, debug: keep, verbose: keep, fatal: keep };
    return createHooks({ tracer: this.tracer, meter: this.meters.getMeter('test'), logger });
  }
  async metrics() {
    this.metricExporter.reset();
    await this.reader.forceFlush();
    return this.metricExporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
  }
  async sum(name: string): Promise<number> {
    const metric = (await this.metrics()).find(({ descriptor }) => descriptor.name === name);
    return (metric?.dataPoints ?? []).reduce((sum, { value }) => sum + (value as number), 0);
  }
  spansNamed(name: string) {
    return this.spans.getFinishedSpans().filter((span) => span.name === name);
  }
  async close(): Promise<void> {
    await this.meters.shutdown();
    await this.tracers.shutdown();
  }
}

let folder: TestFolder;
let observatory: Observatory;
beforeEach(async () => {
  folder = await TestFolder.create();
  observatory = new Observatory();
});
afterEach(async () => {
  await folder.dispose();
  await observatory.close();
});

async function start(options: TaskflowOptionsInput = {}): Promise<TaskSystem> {
  const system = await folder.system({
    recovery: { scanIntervalMs: 20 },
    executor: { tickIntervalMs: 5 },
    shutdown: { forceKillTimeoutMs: 10 },
    ...options,
    hooks: observatory.hooks,
  });
  system.defineTask('ok', {
    handler: async (_, ctx: TaskContext) => (await ctx.progress({ text: 'event-hush-hush' }), 'result-hush-hush'),
  });
  system.defineTask('flaky', {
    retry: { initialDelayMs: 0 },
    handler: async (_, ctx: TaskContext) => (ctx.attempt > 1 ? 1 : Promise.reject(new Error('error-hush-hush'))),
  });
  system.defineTask('fails', { handler: async () => Promise.reject(new NonRetryableError('error-hush-hush')) });
  system.defineTask('hangs', {
    handler: (_, ctx: TaskContext) =>
      new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))),
  });
  await system.initialize();
  return system;
}
const secret = { input: { text: 'input-hush-hush' }, userId: 'user-hush-hush', tags: ['tag-hush-hush'] };

describe('telemetry', () => {
  it('has every metric and span, with the three attributes only, and no user, key or payload anywhere', async () => {
    const system = await start({ guard: { backpressure: { maxTasksPerUserWindow: 5 }, slots: { maxExecutionGlobal: 4 } } });
    await system.result(await system.submit('ok', { ...secret, idempotencyKey: 'key-hush-hush' }));
    await system.result(await system.submit('flaky', secret));
    await system.result(await system.submit('fails', secret)).catch(() => undefined);
    const hanging = await system.submit('hangs', secret);
    const stream = system.subscribe(hanging)[Symbol.asyncIterator]();
    await stream.next();
    const waiting = await system.submit('ok', { ...secret, delayMs: 3_600_000 });
    await expect(system.submit('ok', secret)).rejects.toMatchObject({ status: 429 });
    await eventually(
      () => system.getStats(),
      ({ flush, eventLog, tasks }) => flush.appliedSeq === eventLog.durableSeq && tasks.deadLettered === 1,
    );

    const metrics = await observatory.metrics();
    const byName = new Map(metrics.map((metric) => [metric.descriptor.name, metric]));
    expect([...byName.keys()].sort()).toEqual(
      [...COUNTERS, ...GAUGES, ...HISTOGRAMS].filter((name) => !/cancelled|recovered/.test(name)).sort(),
    );
    const value = (name: string): unknown => byName.get(name)?.dataPoints.reduce((sum, point) => sum + (point.value as number), 0);
    expect(
      Object.fromEntries([...byName.keys()].filter((name) => !HISTOGRAMS.includes(name)).map((name) => [name, value(name)])),
    ).toMatchObject({
      'taskflow.tasks.submitted': 5,
      'taskflow.tasks.completed': 2,
      'taskflow.tasks.failed': 1,
      'taskflow.tasks.retried': 1,
      'taskflow.tasks.running': 1,
      'taskflow.dlq.size': 1,
      'taskflow.streams.active': 1,
      'taskflow.guard.rejections': 1,
      'taskflow.flush.entries': system.getStats().flush.appliedSeq,
    });
    expect(byName.get('taskflow.guard.rejections')!.dataPoints[0]!.attributes).toEqual({ 'taskflow.limit': 'user' });
    await stream.return?.();
    await system.cancel(waiting, { reason: 'reason-hush-hush' });
    await system.cancel(hanging, { reason: 'reason-hush-hush' });
    await system.result(hanging).catch(() => undefined);
    await eventually(
      () => observatory.sum('taskflow.tasks.cancelled'),
      (count) => count === 2,
    );

    const attributes = new Set<string>();
    for (const { dataPoints } of await observatory.metrics())
      for (const point of dataPoints) for (const key of Object.keys(point.attributes)) attributes.add(key);
    for (const span of observatory.spans.getFinishedSpans()) for (const key of Object.keys(span.attributes)) attributes.add(key);
    expect([...attributes].sort()).toEqual(['taskflow.limit', 'taskflow.outcome', 'taskflow.task.name']);
    expect(new Set(observatory.spans.getFinishedSpans().map(({ name }) => name))).toEqual(new Set(SPANS));
    const outcomes = observatory
      .spansNamed('taskflow.task.execute')
      .map((span) => [span.attributes['taskflow.task.name'], span.attributes['taskflow.outcome']].join(' '));
    expect(outcomes.sort()).toEqual(['fails failed', 'flaky completed', 'flaky retried', 'hangs cancelled', 'ok completed']);

    await system.shutdown();
    const metered = JSON.stringify(await observatory.metrics());
    for (const text of SECRETS) expect(metered).not.toContain(text);
    // What a handler throws is the developer's own text: it is in the log and on the span, where errors are looked for.
    const said = JSON.stringify([
      observatory.spans.getFinishedSpans().map(({ name, attributes: its, status, events }) => ({ name, its, status, events })),
      observatory.lines.map((line) => line.map((part) => (part instanceof Error ? `${part.stack}` : part))),
    ]);
    for (const text of SECRETS) if (text !== 'error-hush-hush') expect(said).not.toContain(text);
  });

  it('continues the trace of the submit in the run, at once and after a restart', async () => {
    const first = await start();
    const submitted = await observatory.tracer.startActiveSpan('request', async (span) => {
      const now = await first.submit('ok', secret);
      const later = await first.submit('hangs', secret);
      span.end();
      return { now, later, traceId: span.spanContext().traceId, spanId: span.spanContext().spanId };
    });
    await first.result(submitted.now);
    await first.shutdown({ timeoutMs: 0 });
    const executed = () => observatory.spansNamed('taskflow.task.execute');
    expect(executed()).toHaveLength(2);
    expect(await observatory.sum('taskflow.tasks.retried')).toBe(1); // released at shutdown

    observatory.spans.reset();
    const second = await start();
    await eventually(
      async () => (await second.getStatus(submitted.later))!.status,
      (status) => status === 'running',
    );
    await second.cancel(submitted.later);
    await second.result(submitted.later).catch(() => undefined);
    await eventually(executed, (spans) => spans.length === 1);
    for (const span of executed()) {
      expect(span.spanContext().traceId).toBe(submitted.traceId);
      expect(span.parentSpanContext?.spanId).toBe(submitted.spanId);
    }
    const handler = observatory.spansNamed('taskflow.task.handler')[0]!;
    expect(handler.parentSpanContext?.spanId).toBe(executed()[0]!.spanContext().spanId);
    expect(trace.getSpan(context.active())).toBeUndefined();
  });

  it('marks the span of an attempt that timed out by the kind of error', async () => {
    const system = await start();
    const task = await system.submit('hangs', { input: null, timeoutMs: 5, maxAttempts: 1 });
    await system.result(task).catch(() => undefined);
    const [span] = await eventually(
      () => observatory.spansNamed('taskflow.task.execute'),
      (spans) => spans.length === 1,
    );
    expect(span).toMatchObject({ status: { code: 2, message: 'TaskTimeoutError' }, attributes: { 'taskflow.outcome': 'failed' } });
  });

  it('survives hooks that throw', async () => {
    const broken = new Proxy(
      {},
      {
        get: () => () => {
          throw new Error('broken hook');
        },
      },
    );
    const system = await folder.system({ hooks: { tracer: broken, meter: broken, logger: broken } });
    system.defineTask('ok', { handler: async () => 1 });
    await system.initialize();
    expect(await system.result(await system.submit('ok', { input: 1 }))).toBe(1);
  });
});
