import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, encodeJson, inputHash } from '../../../lib/domain/json-encoding.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { SEED } from '../../support/seed.js';

const limits = { field: 'input', maxBytes: 1000, maxDepth: 5 };
const refusal = (value: unknown): ValidationError => {
  try {
    encodeJson(value, limits);
  } catch (error) {
    if (ValidationError.is(error)) return error;
    throw error;
  }
  throw new Error('was accepted');
};
const cycle: Record<string, unknown> = { list: [] };
(cycle['list'] as unknown[]).push({ back: cycle });
const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });

describe('encodeJson', () => {
  it('gives what JSON gives, for everything that JSON can hold', () => {
    const result = fc.check(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        expect(encodeJson(value, { field: 'x', maxBytes: 1e9, maxDepth: 64 })).toBe(JSON.stringify(value));
      }),
      { seed: SEED },
    );
    if (result.failed) throw new Error(`seed ${result.seed}: ${JSON.stringify(result.counterexample)} ${String(result.errorInstance)}`);
  });

  it('takes dates, class instances and toJSON as JSON does, and leaves undefined members out', () => {
    class Money {
      constructor(
        readonly amount: number,
        readonly note?: string,
      ) {}
    }
    const value = {
      at: new Date(0),
      money: new Money(5),
      url: new URL('http://a.b/'),
      own: { toJSON: () => ({ x: [new Date(1)] }) },
      none: undefined,
      gap: [undefined],
    };
    expect(encodeJson(value, limits)).toBe(JSON.stringify(value));
    expect(encodeJson(Object.assign(Object.create(null), { a: 1 }), limits)).toBe('{"a":1}');
  });

  it.each([
    ['a cycle', cycle, 'input.list.0.back', 'refers to itself'],
    ['a BigInt', { a: [1, 2n] }, 'input.a.1', 'bigint'],
    ['a function', { a: { f: () => 1 } }, 'input.a.f', 'function'],
    ['a symbol', [Symbol('x')], 'input.0', 'symbol'],
    ['undefined itself', undefined, 'input', 'undefined'],
    ['NaN', { n: Number.NaN }, 'input.n', 'NaN'],
    ['Infinity', [Infinity], 'input.0', 'Infinity'],
    ['an invalid date', { at: new Date(Number.NaN) }, 'input.at', 'invalid date'],
    ['a Map', { m: new Map() }, 'input.m', 'Map'],
    ['a promise', { p: Promise.resolve() }, 'input.p', 'Promise'],
    ['a __proto__ key', JSON.parse('{"a":{"__proto__":{"admin":true}}}'), 'input.a.__proto__', 'not allowed'],
    ['a BigInt behind toJSON', { a: { toJSON: () => 1n } }, 'input.a', 'bigint'],
    ['a level too many', nested(6), 'input.a.a.a.a.a', '5 levels'],
  ])('refuses %s and says where', (_label, value, path, message) => {
    const error = refusal(value);
    expect(error.field).toBe('input');
    expect(error.issues).toEqual([{ path, message: expect.stringContaining(message) }]);
  });

  it('takes exactly as many levels as allowed', () => {
    expect(encodeJson(nested(5), limits)).toBe(JSON.stringify(nested(5)));
  });

  it('counts UTF-8 bytes', () => {
    expect(encodeJson('é'.repeat(499), limits).length).toBe(501);
    expect(refusal('é'.repeat(500)).message).toContain('1000 bytes');
    expect(refusal('x'.repeat(999)).message).toContain('1000 bytes');
    expect(encodeJson('x'.repeat(998), limits).length).toBe(1000);
  });

  it('refuses a value that would grow without end, before it has grown', () => {
    let doubling: unknown = 'x';
    for (let level = 0; level < 60; level += 1) doubling = [doubling, doubling];
    expect(() => encodeJson(doubling, { field: 'input', maxBytes: 10_000, maxDepth: 64 })).toThrow(ValidationError);
    let functions: unknown = () => 1;
    for (let level = 0; level < 60; level += 1) functions = { a: { toJSON: undefined }, b: functions, c: functions };
    expect(() => encodeJson(functions, { field: 'input', maxBytes: 10_000, maxDepth: 64 })).toThrow(ValidationError);
  });

  it('turns a getter that throws into a ValidationError', () => {
    const value = Object.defineProperty({}, 'a', {
      enumerable: true,
      get: () => {
        throw new Error('no');
      },
    });
    expect(refusal(value).message).toContain('cannot be encoded');
  });
});

describe('canonicalJson and inputHash', () => {
  it('are the same whatever the order of keys, at every level', () => {
    expect(canonicalJson('{"b":[{"z":1,"a":null}],"a":"x"}')).toBe('{"a":"x","b":[{"a":null,"z":1}]}');
    expect(inputHash('{"b":1,"a":{"d":1.0,"c":2}}')).toBe(inputHash('{"a":{"c":2,"d":1},"b":1}'));
    expect(inputHash('{"a":1}')).not.toBe(inputHash('{"a":"1"}'));
    expect(inputHash('{"a":1}')).toMatch(/^[0-9a-f]{64}$/);
  });
  it('keep the order of lists', () => {
    expect(inputHash('[1,2]')).not.toBe(inputHash('[2,1]'));
  });
});
