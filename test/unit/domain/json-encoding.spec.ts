import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, encodeJson, inputHash } from '../../../lib/domain/json-encoding.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { SEED } from '../../support/clock/seed.js';

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

class Secretive {
  #cents = 4200;
  get cents(): number {
    return this.#cents;
  }
}
const STATE = Symbol('state');
class Symbolic {
  readonly [STATE] = 1;
}

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
    class Nothing {
      declare readonly note?: string;
    }
    const value = {
      at: new Date(0),
      money: new Money(5),
      url: new URL('http://a.b/'),
      own: { toJSON: () => ({ x: [new Date(1)] }) },
      none: undefined,
      zero: -0,
      boxed: [new Number(1), new String('x'), new Boolean(false)],
      empty: new Nothing(),
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
    ['undefined in a list', { list: [1, undefined, 3] }, 'input.list.1', 'undefined'],
    ['a hole in a list', [1, , 3], 'input.1', 'undefined'], // oxlint-disable-line no-sparse-arrays
    ['an Error', { failed: [new TypeError('row 7')] }, 'input.failed.0', 'a TypeError is not JSON'],
    ['an Error with members', Object.assign(new Error('x'), { code: 1 }), 'input', 'an Error is not JSON'],
    ['a RegExp', { r: /a+/g }, 'input.r', 'a RegExp'],
    ['a Set', { a: { s: new Set([1]) } }, 'input.a.s', 'a Set'],
    ['an iterator', { i: new Map([[1, 2]]).entries() }, 'input.i', 'a Map Iterator'],
    ['a generator', { g: (function* () {})() }, 'input.g', 'a Generator'],
    ['a WeakMap', new WeakMap(), 'input', 'a WeakMap'],
    ['an ArrayBuffer', [new ArrayBuffer(8)], 'input.0', 'an ArrayBuffer'],
    ['a typed array', { t: new Float64Array([1.5]) }, 'input.t', 'a Float64Array'],
    ['a DataView', new DataView(new ArrayBuffer(1)), 'input', 'a DataView'],
    ['a Buffer', { file: Buffer.from('x') }, 'input.file', 'a Uint8Array'],
    ['a URLSearchParams', new URLSearchParams('a=1'), 'input', 'a URLSearchParams'],
    ['a Headers object', { headers: new Headers({ a: '1' }) }, 'input.headers', 'a Headers'],
    ['a fetch Response', new Response('{"a":1}'), 'input', 'a Response'],
    ['a Blob', { b: new Blob(['x']) }, 'input.b', 'a Blob'],
    ['a File', { b: new File(['x'], 'x.txt') }, 'input.b', 'a File'],
    ['a FormData', new FormData(), 'input', 'a FormData'],
    ['an AbortSignal', { s: AbortSignal.timeout(1) }, 'input.s', 'an AbortSignal'],
    ['an Intl object', new Intl.NumberFormat('en'), 'input', 'an Intl.NumberFormat'],
    ['a proxy of a Map', new Proxy(new Map(), {}), 'input', 'a Map'],
    ['a class whose state is private', { price: new Secretive() }, 'input.price', 'a Secretive without members'],
    ['a class whose state is under symbols', { s: new Symbolic() }, 'input.s', 'Symbol(state)'],
    ['a member under a symbol', { a: { b: 1, [Symbol('hidden')]: 2 } }, 'input.a', 'Symbol(hidden)'],
    ['a boxed BigInt', [Object(1n)], 'input.0', 'bigint'],
    ['a boxed NaN', [new Number(Number.NaN)], 'input.0', 'NaN'],
    ['a __proto__ key', JSON.parse('{"a":{"__proto__":{"admin":true}}}'), 'input.a.__proto__', 'not allowed'],
    ['a BigInt behind toJSON', { a: { toJSON: () => 1n } }, 'input.a', 'bigint'],
    ['a level too many', nested(6), 'input.a.a.a.a.a', '5 levels'],
  ])('refuses %s, which JSON would empty or change in silence, and says where', (_label, value, path, message) => {
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
