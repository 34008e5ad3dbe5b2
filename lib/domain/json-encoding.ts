import { createHash } from 'node:crypto';
import { types } from 'node:util';
import { ValidationError } from '../errors/request.errors.js';
import { lossOf, symbolLossOf, unboxed } from './json-loss.js';

export interface JsonLimits {
  /** What the value is called in an error: `input`, `payload`, `result`. */
  readonly field: string;
  /** Of the JSON text, in UTF-8 bytes. */
  readonly maxBytes: number;
  /** Objects and arrays inside one another. */
  readonly maxDepth: number;
}

/** A lower bound of the bytes still allowed, so that a value with shared parts cannot blow up before it is measured. */
interface Budget {
  bytes: number;
  readonly maxDepth: number;
}

/**
 * The value as JSON text. What JSON would empty or change in silence is refused: BigInt, functions, symbols and members under a symbol,
 * numbers that are not finite, `undefined` in an array; Map, Set, Error, RegExp, buffers, web and Intl objects, iterators, promises;
 * instances whose state is private. Also cycles, `__proto__` keys and anything over the limits.
 * As in JSON: undefined members are left out, -0 is 0, a boxed primitive is its value, `toJSON` is asked where there is one (a `Date` is
 * its ISO text), an instance is its own enumerable members, and an array its elements.
 * @throws ValidationError naming the path of what was refused.
 */
export function encodeJson(value: unknown, limits: JsonLimits): string {
  try {
    const budget: Budget = { bytes: limits.maxBytes, maxDepth: limits.maxDepth };
    // Nearly every value passes the quick look, which keeps no path; what does not is looked at again, slowly, to say why.
    const safe = isEncodable(value, 0, budget) ? value : normalize(value, limits.field, [], limits);
    return measured(JSON.stringify(safe), limits);
  } catch (error) {
    if (ValidationError.is(error)) throw error;
    throw new ValidationError(limits.field, `cannot be encoded as JSON: ${error instanceof Error ? error.message : 'a getter threw'}`);
  }
}

/** The same facts in one spelling: keys sorted, no white space. */
export const canonicalJson = (jsonText: string): string => canonical(JSON.parse(jsonText));

/** Hex SHA-256 of the canonical JSON: equal for equal inputs, whatever the order of their keys. */
export const inputHash = (jsonText: string): string => createHash('sha256').update(canonicalJson(jsonText)).digest('hex');

function isEncodable(value: unknown, depth: number, budget: Budget): boolean {
  switch (typeof value) {
    case 'string':
      return (budget.bytes -= value.length + 2) >= 0;
    case 'number':
      return (budget.bytes -= 1) >= 0 && Number.isFinite(value);
    case 'boolean':
      return (budget.bytes -= 4) >= 0;
    case 'object':
      return value === null ? (budget.bytes -= 4) >= 0 : isEncodableObject(value, depth, budget);
    default:
      return false; // undefined too: members that are, are passed over before
  }
}

function isEncodableObject(value: object, depth: number, budget: Budget): boolean {
  if (depth >= budget.maxDepth || (budget.bytes -= 2) < 0) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Date.prototype) return Number.isFinite((value as Date).getTime());
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      if (!isEncodable(value[index], depth + 1, budget)) return false;
    }
    return true;
  }
  const isPlain = prototype === Object.prototype || prototype === null;
  if (!isPlain && lossOf(value) !== undefined) return false;
  const keys = Object.keys(value);
  if (isPlain && keys.length === 0 && lossOf(value) !== undefined) return false;
  if (Object.getOwnPropertySymbols(value).length > 0) return false;
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index]!;
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    if (key === '__proto__' || (budget.bytes -= key.length + 3) < 0) return false;
    if (!isEncodable(member, depth + 1, budget)) return false;
  }
  return true;
}

/** A copy without `toJSON`, or the reason why there is none. */
function normalize(
  value: unknown,
  path: string,
  ancestors: readonly object[],
  limits: JsonLimits,
  left = { bytes: limits.maxBytes },
): unknown {
  if (left.bytes < 0) throw tooLarge(limits);
  const refuse = (message: string): ValidationError => new ValidationError(limits.field, [{ path, message }]);
  switch (typeof value) {
    case 'string':
      left.bytes -= value.length + 2;
      return value;
    case 'number':
      left.bytes -= 1;
      if (Number.isFinite(value)) return value;
      throw refuse(`${value} is not JSON`);
    case 'boolean':
      left.bytes -= 4;
      return value;
    case 'object':
      return value === null ? null : normalizeObject(value, path, ancestors, limits, left);
    case 'undefined':
      throw refuse('undefined is not JSON; use null');
    default:
      throw refuse(`a ${typeof value} is not JSON`);
  }
}

function normalizeObject(value: object, path: string, ancestors: readonly object[], limits: JsonLimits, left: { bytes: number }): unknown {
  const refuse = (message: string): ValidationError => new ValidationError(limits.field, [{ path, message }]);
  if (ancestors.includes(value)) throw refuse('refers to itself (a cycle)');
  if (ancestors.length >= limits.maxDepth) throw refuse(`is nested more than ${limits.maxDepth} levels deep`);
  if (types.isDate(value) && !Number.isFinite(Date.prototype.getTime.call(value))) throw refuse('an invalid date is not JSON');
  const inside = [...ancestors, value];
  const { toJSON } = value as { toJSON?: unknown };
  // A Buffer has one too, which makes an object of numbers of it: four times the size, and no Buffer for whoever reads it.
  if (typeof toJSON === 'function' && !ArrayBuffer.isView(value))
    return normalize(toJSON.call(value, path.slice(path.lastIndexOf('.') + 1)), path, inside, limits, left);
  if (types.isBoxedPrimitive(value)) return normalize(unboxed(value), path, inside, limits, left);
  left.bytes -= 2;
  if (Array.isArray(value)) return Array.from(value, (member, index) => normalize(member, `${path}.${index}`, inside, limits, left));
  const loss = lossOf(value) ?? symbolLossOf(value);
  if (loss !== undefined) throw refuse(loss);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (key === '__proto__') throw new ValidationError(limits.field, [{ path: `${path}.${key}`, message: 'is not allowed as a key' }]);
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    left.bytes -= key.length + 3;
    copy[key] = normalize(member, `${path}.${key}`, inside, limits, left);
  }
  return copy;
}

function measured(text: string | undefined, limits: JsonLimits): string {
  if (text === undefined) throw new ValidationError(limits.field, 'undefined is not JSON; use null');
  // UTF-8 takes at most three bytes per UTF-16 unit, so that short texts need no count.
  if (text.length * 3 > limits.maxBytes && Buffer.byteLength(text) > limits.maxBytes) throw tooLarge(limits);
  return text;
}

const tooLarge = (limits: JsonLimits): ValidationError =>
  new ValidationError(limits.field, `is larger than ${limits.maxBytes} bytes as JSON; keep large data elsewhere and pass a reference`);

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical((value as Record<string, unknown>)[key])}`);
  return `{${members.join(',')}}`;
}
