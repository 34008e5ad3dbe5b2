import { isAbsolute, resolve } from 'node:path';
import { DEFAULT_SQLITE_DATABASE, type RepositoryOptions } from '../../../config/repository.options.js';

/**
 * The options as another process gets them (structured clone), or undefined where they hold what cannot cross: functions,
 * class instances, a custom repository. Then the flush runs inline.
 */
export function projectorConfigOf(options: RepositoryOptions): RepositoryOptions | undefined {
  if (options.type === 'custom') return undefined;
  const config: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (!isPlain(value)) return undefined;
    config[name] = value;
  }
  if (options.type === 'sqlite') {
    const database = options.database ?? DEFAULT_SQLITE_DATABASE;
    // The worker may be started in another folder.
    config['database'] = isAbsolute(database) ? database : resolve(database);
  }
  return structuredClone(config) as RepositoryOptions;
}

/** Data only: what arrives is what was sent. */
function isPlain(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== 'object') return typeof value !== 'function' && typeof value !== 'symbol';
  if (Array.isArray(value)) return value.every(isPlain);
  if (value instanceof Uint8Array) return true; // certificates
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isPlain);
}
