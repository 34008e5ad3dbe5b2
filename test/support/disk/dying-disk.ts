import type { LogFileSystem } from '../../../lib/contracts/log-file-system.interface.js';
import { NodeFileSystem } from '../../../lib/engines/local/wal/node-file-system.js';

const MUTATIONS = new Set(['write', 'rename', 'unlink', 'mkdir', 'ftruncate', 'fsync']);

class Killed extends Error {}

/** The process dies at its n-th change of the disk: nothing that it does after that happens. */
export function dyingAt(n: number): { fs: LogFileSystem; changes: () => number } {
  let changes = 0;
  const disk = new NodeFileSystem();
  const fs = new Proxy(disk, {
    get: (target, name: keyof LogFileSystem) => {
      const call = target[name] as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        const isChange = MUTATIONS.has(name) || (name === 'open' && args[1] === 'create');
        if (isChange && ++changes >= n) return Promise.reject(new Killed());
        return call.apply(target, args);
      };
    },
  });
  return { fs, changes: () => changes };
}
