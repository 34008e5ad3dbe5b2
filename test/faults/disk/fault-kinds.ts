import type { Fault, OperationName } from '../../support/disk/simulated-disk.js';

const ANY: readonly Fault['kind'][] = ['EIO', 'ENOSPC', 'EINTR', 'EMFILE'];
const OF_A_WRITE: readonly Fault['kind'][] = ['short', 'partial', 'zero'];
const OF_A_SYNC: readonly Fault['kind'][] = ['lost'];

/** Every way in which an operation can fail, once and from then on. */
export function faultsAt(at: number, name: OperationName): Fault[] {
  const kinds = [...ANY, ...(name === 'write' ? OF_A_WRITE : []), ...(name === 'fsync' || name === 'fdatasync' ? OF_A_SYNC : [])];
  return kinds.flatMap((kind) => [
    { at, kind },
    { at, kind, persistent: true },
  ]);
}

export const nameOf = ({ kind, persistent }: Fault): string => `${kind}${persistent === true ? ' for ever' : ''}`;
