import { createHash } from 'node:crypto';
import { ValidationError } from '../errors/request.errors.js';

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
 * The value as JSON text. What JSON would change in silence is refused: BigInt, functions, symbols, numbers that are not finite,
 * Map, Set and promises; also cycles, `__proto__` keys and anything over the limits. Undefined members are left out, as in JSON.
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
    case 'undefined':
      return depth > 0;
    default:
      return false;
  }
}

function isEncodableObject(value: object, depth: number, budget: Budget): boolean {
  if (depth >= budget.maxDepth || (budget.bytes -= 2) < 0) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      if (!isEncodable(value[index], depth + 1, budget)) return false;
    }
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && isForeign(value))
    return value instanceof Date && Number.isFinite(value.getTime());
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return false;
  const keys = Object.keys(value);
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index]!;
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    if (key === '__proto__' || (budget.bytes -= key.length + 3) < 0) return false;
    if (!isEncodable(member, depth + 1, budget)) return false;
  }
  return true;
}

/** Objects that JSON treats in a way of its own, or empties. */
const isForeign = (value: object): boolean =>
  value instanceof Date ||
  value instanceof Map ||
  value instanceof Set ||
  value instanceof Promise ||
  value instanceof Number ||
  value instanceof String ||
  value instanceof Boolean;

/** A copy without `toJSON`, or the reason why there is none. */
function normalize(
  value: unknown,
  path: string,
  ancestors: readonly object[],
  limits: JsonLimits,
  left = { bytes: limits.maxBytes },
): unknown {
  if (left.bytes < 0) throw tooLarge(limits);
  switch (typeof value) {
    case 'string':
      left.bytes -= value.length + 2;
      return value;
    case 'number':
      left.bytes -= 1;
      if (Number.isFinite(value)) return value;
      throw new ValidationError(limits.field, [{ path, message: `${value} is not JSON` }]);
    case 'boolean':
      left.bytes -= 4;
      return value;
    case 'object':
      return value === null ? null : normalizeObject(value, path, ancestors, limits, left);
    case 'undefined':
      if (ancestors.length > 0) return undefined;
      throw new ValidationError(limits.field, [{ path, message: 'undefined is not JSON; use null' }]);
    default:
      throw new ValidationError(limits.field, [{ path, message: `a ${typeof value} is not JSON` }]);
  }
}

function normalizeObject(value: object, path: string, ancestors: readonly object[], limits: JsonLimits, left: { bytes: number }): unknown {
  const refuse = (message: string): ValidationError => new ValidationError(limits.field, [{ path, message }]);
  if (ancestors.includes(value)) throw refuse('refers to itself (a cycle)');
  if (ancestors.length >= limits.maxDepth) throw refuse(`is nested more than ${limits.maxDepth} levels deep`);
  if (value instanceof Date && !Number.isFinite(value.getTime())) throw refuse('an invalid date is not JSON');
  if (value instanceof Map || value instanceof Set || value instanceof Promise)
    throw refuse(`a ${value.constructor.name} is not JSON; convert it first`);
  const inside = [...ancestors, value];
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') return normalize(toJSON.call(value, path.slice(path.lastIndexOf('.') + 1)), path, inside, limits, left);
  if (value instanceof Number || value instanceof String || value instanceof Boolean)
    return normalize(value.valueOf(), path, inside, limits, left);
  left.bytes -= 2;
  if (Array.isArray(value)) return value.map((member, index) => normalize(member, `${path}.${index}`, inside, limits, left));
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
