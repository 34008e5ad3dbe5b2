import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { handlerOptionIssues } from '../../../lib/config/handler-option-issues.js';

class Dto {}
const paths = (options: unknown): string[] => handlerOptionIssues(options).map((issue) => issue.path);

describe('handlerOptionIssues', () => {
  it('finds nothing in options that are right, or left out', () => {
    expect(paths(undefined)).toEqual([]);
    expect(paths({})).toEqual([]);
    expect(
      paths({ input: Dto, type: 'background', timeoutMs: 1, retry: { maxAttempts: 1 }, maxConcurrentExecutions: 2, idempotency: 'input' }),
    ).toEqual([]);
    expect(paths({ schema: z.object({ a: z.string() }), timeoutMs: undefined, retry: undefined, idempotency: 'none' })).toEqual([]);
  });

  it.each([
    ['type', 'other'],
    ['timeoutMs', 0],
    ['timeoutMs', null],
    ['timeoutMs', '5'],
    ['retry', 3],
    ['maxConcurrentExecutions', 0],
    ['idempotency', true],
    ['input', {}],
    ['schema', {}],
    ['schema', null],
    ['timeout', 5],
  ])('names %s when it is %p', (path, value) => {
    expect(paths({ [path]: value })).toEqual([path]);
  });

  it('names a member of retry with its path', () => {
    expect(paths({ retry: { maxAttempts: 0, delay: 1 } })).toEqual(['retry.delay', 'retry.maxAttempts']);
  });

  it.each([
    ['retry.maxAttempts', { retry: { maxAttempts: 2 ** 53 - 1 } }, 1_000_000],
    ['retry.maxAttempts', { retry: { maxAttempts: 2 ** 31 } }, 1_000_000],
    ['retry.initialDelayMs', { retry: { initialDelayMs: 8.64e15 } }, 3_155_760_000_000],
    ['retry.maxDelayMs', { retry: { maxDelayMs: 1e300 } }, 3_155_760_000_000],
    ['timeoutMs', { timeoutMs: 2 ** 53 }, 3_155_760_000_000],
    ['maxConcurrentExecutions', { maxConcurrentExecutions: 2 ** 31 }, 2_147_483_647],
  ])('refuses %s beyond what a column or a date can hold, and says the largest', (path, options, largest) => {
    expect(handlerOptionIssues(options)).toEqual([
      { path, message: expect.stringMatching(new RegExp(`^must not be greater than ${largest}, not `)) },
    ]);
  });

  it('refuses input and schema together', () => {
    expect(paths({ input: Dto, schema: z.string() })).toEqual(['schema']);
  });
});
