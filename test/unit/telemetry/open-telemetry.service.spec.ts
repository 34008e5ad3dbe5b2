import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { context, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { createHooks } from '../../../lib/telemetry/create-hooks.js';
import { OpenTelemetryService } from '../../../lib/telemetry/open-telemetry.service.js';

const spans = new InMemorySpanExporter();
const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).getTracer('test');
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const throwing = (): never => {
  throw new Error('broken exporter');
};

describe('OpenTelemetryService', () => {
  const warn = jest.fn();
  const logger = { log: jest.fn(), error: jest.fn(), warn };
  beforeEach(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    spans.reset();
    warn.mockClear();
  });
  afterEach(() => context.disable());

  async function traced(): Promise<OpenTelemetryService> {
    const telemetry = new OpenTelemetryService(createHooks({ tracer, logger }));
    await telemetry.load();
    return telemetry;
  }

  describe('metrics', () => {
    async function collected(use: (telemetry: OpenTelemetryService) => void): Promise<Record<string, unknown>> {
      const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
      const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
      const provider = new MeterProvider({ readers: [reader] });
      const telemetry = new OpenTelemetryService(createHooks({ meter: provider.getMeter('test'), logger }));
      use(telemetry);
      await provider.forceFlush();
      const metrics = exporter.getMetrics().flatMap((resource) => resource.scopeMetrics.flatMap((scope) => scope.metrics));
      await provider.shutdown();
      return Object.fromEntries(
        metrics.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints.map(({ value, attributes }) => [value, attributes])]),
      );
    }

    it('counts by attributes', async () => {
      const seen = await collected((telemetry) => {
        telemetry.count('taskflow.tasks.submitted');
        telemetry.count('taskflow.tasks.submitted', 2);
        telemetry.count('taskflow.guard.rejections', 1, { 'taskflow.limit': 'user' });
      });
      expect(seen).toEqual({ 'taskflow.tasks.submitted': [[3, {}]], 'taskflow.guard.rejections': [[1, { 'taskflow.limit': 'user' }]] });
    });

    it('records into histograms', async () => {
      const seen = await collected((telemetry) => {
        telemetry.record('taskflow.eventlog.sync_ms', 4);
        telemetry.record('taskflow.eventlog.sync_ms', 6);
      });
      expect(seen['taskflow.eventlog.sync_ms']).toEqual([[expect.objectContaining({ count: 2, sum: 10 }), {}]]);
    });

    it('reads gauges when metrics are collected, the latest reader alone', async () => {
      let running = 1;
      const seen = await collected((telemetry) => {
        telemetry.gauge('taskflow.tasks.running', () => 99);
        telemetry.gauge('taskflow.tasks.running', () => running);
        telemetry.gauge('taskflow.dlq.size', () => Number.NaN);
        telemetry.gauge('taskflow.streams.active', throwing);
        running = 5;
      });
      expect(seen['taskflow.tasks.running']).toEqual([[5, {}]]);
      expect(seen['taskflow.dlq.size'] ?? []).toEqual([]);
      expect(seen['taskflow.streams.active'] ?? []).toEqual([]);
    });

    it('reads no gauge after close', async () => {
      const read = jest.fn(() => 1);
      await collected((telemetry) => {
        telemetry.gauge('taskflow.tasks.running', read);
        telemetry.close();
      });
      expect(read).not.toHaveBeenCalled();
    });
  });

  describe('spans', () => {
    it('continue the trace of the submit, and are the parents of what runs inside', async () => {
      const telemetry = await traced();
      const result = await telemetry.span(
        'taskflow.task.execute',
        { parent: PARENT, attributes: { 'taskflow.task.name': 'a' } },
        async (span) => {
          span.outcome('completed');
          return telemetry.span('taskflow.task.handler', {}, async () => telemetry.traceparent());
        },
      );
      const [handler, execute] = spans.getFinishedSpans();
      expect(execute).toMatchObject({
        name: 'taskflow.task.execute',
        attributes: { 'taskflow.task.name': 'a', 'taskflow.outcome': 'completed' },
      });
      expect(execute?.spanContext().traceId).toBe('0af7651916cd43dd8448eb211c80319c');
      expect(execute?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
      expect(handler?.parentSpanContext?.spanId).toBe(execute?.spanContext().spanId);
      expect(result).toBe(`00-0af7651916cd43dd8448eb211c80319c-${handler?.spanContext().spanId}-01`);
    });

    it('open a trace of their own when the task has none, whatever is active', async () => {
      const telemetry = await traced();
      const foreign = trace.setSpan(ROOT_CONTEXT, tracer.startSpan('request'));
      await context.with(foreign, () => telemetry.span('taskflow.task.execute', { parent: null }, async () => undefined));
      await context.with(foreign, () => telemetry.span('taskflow.task.execute', { parent: 'no traceparent' }, async () => undefined));
      for (const span of spans.getFinishedSpans()) expect(span.parentSpanContext).toBeUndefined();
      expect(spans.getFinishedSpans()).toHaveLength(2);
    });

    it('end with the kind of error and record the exception with its cause, and pass it on', async () => {
      const telemetry = await traced();
      const failure = new TypeError('no host', { cause: new Error('refused') });
      await expect(telemetry.span('taskflow.flush.batch', {}, () => Promise.reject(failure))).rejects.toBe(failure);
      const [span] = spans.getFinishedSpans();
      expect(span?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'TypeError' });
      expect(span?.events).toMatchObject([
        {
          name: 'exception',
          attributes: {
            'exception.type': 'TypeError',
            'exception.message': 'no host',
            'exception.stacktrace': expect.stringMatching(/TypeError: no host\n\s+at .*\nCaused by: Error: refused/s),
          },
        },
      ]);
    });

    it('have no traceparent outside', async () => {
      expect((await traced()).traceparent()).toBeUndefined();
      expect(new OpenTelemetryService(undefined).traceparent()).toBeUndefined();
    });
  });

  it('does nothing where no hooks were given, and runs the work', async () => {
    const telemetry = new OpenTelemetryService(undefined);
    await telemetry.load();
    telemetry.count('taskflow.tasks.failed');
    telemetry.record('taskflow.task.duration_ms', 1);
    telemetry.gauge('taskflow.tasks.queued', throwing);
    telemetry.close();
    await expect(telemetry.span('taskflow.recovery.scan', {}, async (span) => (span.outcome('x'), 7))).resolves.toBe(7);
  });

  it('keeps what throws in tracer and meter away from tasks, and warns once', async () => {
    const broken = {
      startSpan: jest.fn(throwing),
      createCounter: jest.fn(throwing),
      createHistogram: throwing,
      createObservableGauge: throwing,
    };
    const telemetry = new OpenTelemetryService(createHooks({ tracer: broken, meter: broken, logger }));
    await telemetry.load();
    telemetry.count('taskflow.tasks.failed');
    telemetry.record('taskflow.task.duration_ms', 1);
    telemetry.gauge('taskflow.tasks.queued', () => 1);
    await expect(telemetry.span('taskflow.task.handler', {}, async () => 7)).resolves.toBe(7);
    expect(broken.startSpan).toHaveBeenCalledTimes(1);
    expect(broken.createCounter).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  it('runs the work once when the span itself is broken, or the work throws at once', async () => {
    const span = { setAttribute: throwing, setStatus: throwing, end: jest.fn(throwing), spanContext: throwing };
    const telemetry = new OpenTelemetryService(createHooks({ tracer: { startSpan: () => span }, logger }));
    await telemetry.load();
    const work = jest.fn((): Promise<number> => throwing());
    await expect(telemetry.span('taskflow.task.handler', {}, work)).rejects.toThrow('broken exporter');
    await expect(telemetry.span('taskflow.task.handler', {}, async (handle) => (handle.outcome('x'), 8))).resolves.toBe(8);
    expect(work).toHaveBeenCalledTimes(1);
    expect(span.end).toHaveBeenCalledTimes(2);
  });

  it('runs the work when the context’s keeper is broken', async () => {
    const telemetry = await traced();
    const broken = jest.spyOn(context, 'with').mockImplementation(throwing);
    const work = jest.fn(async () => 9);
    await expect(telemetry.span('taskflow.task.handler', {}, work)).resolves.toBe(9);
    expect(broken).toHaveBeenCalled();
    expect(work).toHaveBeenCalledTimes(1);
    broken.mockRestore();
  });
});
