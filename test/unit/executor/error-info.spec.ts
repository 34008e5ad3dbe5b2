import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NonRetryableError, TaskTimeoutError } from '../../../lib/errors/execution.errors.js';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { errorInfoOf } from '../../../lib/executor/error-info.js';
import { SEED } from '../../support/clock/seed.js';

describe('errorInfoOf', () => {
  it('keeps name, message and code, and never the stack', () => {
    const error = Object.assign(new TypeError('no socket'), { code: 'ECONNRESET' });
    expect(errorInfoOf(error, 65_536)).toEqual({ name: 'TypeError', message: 'no socket', code: 'ECONNRESET', retryable: true });
  });

  it.each([
    [new NonRetryableError('x'), false],
    [new ValidationError('input', 'bad'), false],
    [new TaskTimeoutError(5), true],
    [new BackpressureError('user', 5), true],
  ])('knows that %s is worth another attempt: %s', (error, retryable) => {
    expect(errorInfoOf(error, 65_536).retryable).toBe(retryable);
  });

  it('survives errors that throw when they are looked at', () => {
    const hostile = new Proxy(new Error('x'), {
      get: () => {
        throw new Error('gotcha');
      },
    });
    expect(() => errorInfoOf(hostile, 65_536)).not.toThrow();
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    expect(errorInfoOf(cyclic, 65_536).message).toBe('A value was thrown that cannot be shown.');
  });

  it('fits its bytes, whatever was thrown', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20_000 }),
      fc.constant('\u0000'.repeat(20_000)),
      fc.constant('😀'.repeat(9000)),
    );
    const result = fc.check(
      fc.property(text, text, fc.option(text), fc.integer({ min: 1, max: 20_000 }), (name, message, code, maxBytes) => {
        const info = errorInfoOf({ name, message, code }, maxBytes);
        const bytes = Buffer.byteLength(JSON.stringify(info));
        expect(bytes).toBeLessThanOrEqual(Math.max(512, Math.min(maxBytes, 8192)));
      }),
      { seed: SEED, numRuns: 100 },
    );
    if (result.failed)
      throw new Error(`seed ${result.seed}: ${JSON.stringify(result.counterexample)?.slice(0, 500)} ${String(result.errorInstance)}`);
  });
});
