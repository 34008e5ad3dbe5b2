import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConsoleLogger, Logger, type LoggerService } from '@nestjs/common';
import { NonRetryableError } from '../../../lib/errors/execution.errors.js';
import { errorForClients } from '../../../lib/domain/client-error.js';
import { errorInfoOf } from '../../../lib/executor/error-info.js';
import { traceOf } from '../../../lib/domain/error-parts.js';
import { boundLogger, loggerFor } from '../../../lib/telemetry/taskflow-logger.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

class Lines implements LoggerService {
  readonly all: [level: string, text: string][] = [];
  private readonly to =
    (level: string) =>
    (...parts: unknown[]): void =>
      void this.all.push([level, parts.map(String).join(' ')]);
  log = this.to('log');
  warn = this.to('warn');
  error = this.to('error');
  of(id: string): [string, string][] {
    return this.all.filter(([, text]) => text.includes(id));
  }
}

describe('A failure leaves a trace', () => {
  let lines: Lines;
  let house: WholeSystem;
  beforeEach(() => {
    lines = new Lines();
    house = new WholeSystem({ executor: { retry: { jitter: false } }, recovery: { maxRecoveriesPerTask: 1 } }, lines);
  });
  afterEach(() => house.stop());

  async function failed(name: string): Promise<{ id: string; error: unknown }> {
    const task = await house.system.submit(name, {
      input: 'a secret input',
      userId: 'alice-the-user',
      idempotencyKey: `a-secret-key of ${name}`,
    });
    await house.until(house.system.result(task).catch(() => undefined));
    return { id: task.id, error: (await house.system.getStatus({ taskId: task.id }))?.error };
  }

  it('in the log: a warning for each failed attempt and an error for the last, with name, id, attempt, stack and cause', async () => {
    function deepInside(): number {
      return (undefined as unknown as string).length;
    }
    house.definitions.set('import', {
      retry: { maxAttempts: 2, initialDelayMs: 10 },
      handler: async () => {
        try {
          deepInside();
        } catch (cause) {
          throw new Error('import failed', { cause });
        }
      },
    });
    await house.start();
    const { id, error } = await failed('import');
    expect(lines.of(id).map(([level, text]) => [level, text.split('\n')[0]])).toEqual([
      ['warn', `Task import (${id}) failed at attempt 1 of 2. The next attempt comes in 10 ms.`],
      ['error', expect.stringContaining(`Task import (${id}) failed at attempt 2 of 2. It is not tried again, unless by tasks.retry().`)],
    ]);
    for (const [, text] of lines.of(id)) {
      expect(text).toMatch(/Error: import failed\n\s+at .*Caused by: TypeError: Cannot read.*deepInside/s);
      for (const secret of ['secret', 'alice']) expect(text).not.toContain(secret);
    }
    expect(error).toMatchObject({ name: 'Error', message: 'import failed', cause: { name: 'TypeError' } });
  });

  it('in the log, whatever ended it: a timeout, an error that no attempt mends, inner errors, a value that is no error, a crash loop', async () => {
    const handlers: Record<string, () => Promise<unknown>> = {
      slow: () => new Promise(() => undefined),
      final: async () => Promise.reject(new NonRetryableError('card declined')),
      many: async () => Promise.any([Promise.reject(new Error('host one refused')), Promise.reject(new Error('host two timed out'))]),
      text: async () => Promise.reject('just a text'), // eslint-disable-line @typescript-eslint/prefer-promise-reject-errors
    };
    for (const [name, handler] of Object.entries(handlers))
      house.definitions.set(name, { handler, timeoutMs: 100, retry: { maxAttempts: name === 'final' ? 3 : 1 } });
    house.definitions.set('lethal', { handler: () => new Promise(() => undefined) });
    await house.start();
    const said: Record<string, string> = {};
    for (const name of Object.keys(handlers))
      said[name] = lines
        .of((await failed(name)).id)
        .map((line) => line.join(' '))
        .join();
    expect(said['slow']).toMatch(/^error Task slow .*TaskTimeoutError/s);
    expect(said['final']).toMatch(
      /^error Task final .* attempt 1 of 3, and its error says that no other would fare better.*card declined/s,
    );
    expect(said['many']).toMatch(
      /^error .*AggregateError.*Inner error 1: Error: host one refused.*Inner error 2: Error: host two timed out/s,
    );
    expect(said['text']).toMatch(/^error .*just a text/s);
    const lethal = await house.system.submit('lethal', { input: null });
    for (let life = 0; life < 2; life++) {
      house.crash();
      await house.start();
      await house.run(0);
    }
    expect(lines.of(lethal.id)).toEqual([['error', expect.stringMatching(/^Task lethal .*died 2 times in a row/)]]);
  });

  it('not where nothing failed: cancelled, released at the shutdown, done', async () => {
    house.definitions.set('done', { handler: async () => undefined });
    house.definitions.set('waits', {
      handler: (_input, ctx) => new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('stopped')))),
    });
    await house.start();
    await failed('done');
    const cancelled = await house.system.submit('waits', { input: null });
    await house.run(0);
    await house.system.cancel(cancelled);
    await house.run(0);
    await house.system.submit('waits', { input: null });
    await house.run(0);
    await house.until(house.system.shutdown({ timeoutMs: 0 }));
    expect(lines.all.filter(([level]) => level !== 'log')).toEqual([]);
  });

  it('in the lines of ctx.logger: they carry name, id and attempt', async () => {
    house.definitions.set('chatty', { handler: async (_input, ctx) => ctx.logger.log('half way') });
    await house.start();
    const { id } = await failed('chatty');
    expect(lines.of(id)).toEqual([['log', `half way Task chatty ${id} attempt 1`]]);
  });
});

describe('What is kept of an error', () => {
  it('is bounded in depth, number and size, without circles, and never shown to clients', () => {
    const circle = new Error('a') as Error & { cause: unknown };
    circle.cause = new Error('b', { cause: circle });
    expect(errorInfoOf(circle, 8192)).toEqual({ name: 'Error', message: 'a', retryable: true, cause: { name: 'Error', message: 'b' } });
    let deep = new Error('0');
    for (let depth = 1; depth < 100; depth++) deep = new Error(`${depth}`, { cause: deep });
    expect(JSON.stringify(errorInfoOf(deep, 8192)).match(/"cause"/g)).toHaveLength(4);
    const many = new AggregateError(
      Array.from({ length: 100 }, (_, n) => new Error(`${n} ${'x'.repeat(10_000)}`)),
      'many',
    );
    for (const limit of [8192, 2000, 512]) {
      const info = errorInfoOf(many, limit);
      expect(Buffer.byteLength(JSON.stringify(info))).toBeLessThanOrEqual(limit);
      expect(info.message).toBe('many');
      expect(Object.keys(errorForClients(info))).toEqual(['name', 'message', 'retryable']);
    }
    expect(errorInfoOf(many, 8192).errors).toHaveLength(5);
    expect(traceOf(many).length).toBeLessThan(50_000);
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    );
    expect(errorInfoOf(new Error('x', { cause: hostile }), 8192)).toMatchObject({ message: 'x' });
    expect(traceOf(hostile)).toContain('Error');
    // Foreign `errors`: the fields of a form.
    expect(errorInfoOf(Object.assign(new Error('form'), { errors: [{ password: 'x' }] }), 8192)).toEqual({
      name: 'Error',
      message: 'form',
      retryable: true,
    });
  });
});

describe('boundLogger', () => {
  it('names the task through every kind of logger', () => {
    const written: string[] = [];
    class Sink extends ConsoleLogger {
      override log(...parts: unknown[]): void {
        written.push(parts.join(' | '));
      }
    }
    const nest = new Logger('MyApp');
    Object.defineProperty(nest, 'localInstance', { get: () => new Sink() });
    boundLogger(loggerFor({ logger: nest }, 'Taskflow'), 'Task a 1').log('line');
    boundLogger(loggerFor({ logger: new Sink() }, 'Taskflow'), 'Task a 1').log('line', 'more');
    boundLogger(new Sink(), 'Task a 1').log('line');
    expect(written).toEqual(['Task a 1: line | MyApp', 'line | more | Task a 1', 'line | Task a 1']);
    expect((boundLogger(loggerFor(undefined, 'Taskflow'), 'Task a 1') as unknown as { context: string }).context).toBe('Task a 1');
  });
});
