import { types } from 'node:util';

const CONVERT = 'is not JSON; convert it first';
const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1);

/**
 * What JSON would lose in silence of an object without `toJSON`: all that makes a Map, a Response or an Error, since none of it is a
 * member. Undefined: nothing.
 */
export function lossOf(value: object): string | undefined {
  if (types.isNativeError(value) || value instanceof Error) return `${named(nameOf(value, 'Error'))} ${CONVERT}, such as to its message`;
  const tag = tagOf(value);
  // A plain object with members may call itself what it likes.
  if (tag !== 'Object' && !(isRooted(value) && Object.keys(value).length > 0)) return `${named(tag)} ${CONVERT}`;
  // State that can be asked for, and is not in any member. An instance without methods has nothing to hide: a DTO with nothing set.
  if (hasMethods(value) && Object.keys(value).length === 0)
    return `${named(nameOf(value, 'object'))} without members of its own ${CONVERT}, or give it a toJSON()`;
  return undefined;
}

/** JSON passes over members under symbols. Those that do not enumerate are nobody's data. */
export function symbolLossOf(value: object): string | undefined {
  const symbol = Object.getOwnPropertySymbols(value).find((key) => Object.prototype.propertyIsEnumerable.call(value, key));
  return symbol === undefined ? undefined : `has a member under ${String(symbol)}, which JSON has no place for`;
}

/** By the class's own method: a subclass may answer with anything. */
export function unboxed(value: object): unknown {
  if (types.isNumberObject(value)) return Number.prototype.valueOf.call(value);
  if (types.isStringObject(value)) return String.prototype.valueOf.call(value);
  if (types.isBooleanObject(value)) return Boolean.prototype.valueOf.call(value);
  return types.isBigIntObject(value) ? BigInt.prototype.valueOf.call(value) : Symbol.prototype.valueOf.call(value);
}

/** A plain object, of this realm or another: it inherits from a root, or from nothing. */
function isRooted(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether it inherits anything but a constructor from below the root. */
function hasMethods(value: object): boolean {
  for (let at = value; !isRooted(at);) {
    at = Object.getPrototypeOf(at) as object;
    if (Reflect.ownKeys(at).some((key) => key !== 'constructor')) return true;
  }
  return false;
}

function nameOf(value: object, otherwise: string): string {
  const { constructor } = value as { constructor?: unknown };
  const name: unknown = typeof constructor === 'function' ? constructor.name : undefined;
  return typeof name === 'string' && name !== '' ? name.slice(0, 100) : otherwise;
}

const named = (kind: string): string => `${/^[AEIO]/i.test(kind) ? 'an' : 'a'} ${kind}`;
