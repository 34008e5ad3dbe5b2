import { getSystemErrorName } from 'node:util';
import { constants } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { codeOf, isFull } from '../../../lib/engines/local/wal/disk-error.js';

/** As node:fs makes it. */
const systemError = (number: number): Error => Object.assign(new Error('write'), { errno: -number, code: getSystemErrorName(-number) });

describe('An error of the disk', () => {
  it.each(['ENOSPC', 'EDQUOT', 'EFBIG', 'EMFILE', 'ENFILE'] as const)('means no room: %s', (name) => {
    const error = systemError(constants.errno[name]);
    expect(codeOf(error)).toBe(name);
    expect(isFull(error)).toBe(true);
  });
  it.each(['EIO', 'EROFS', 'EINTR'] as const)('means more than that: %s', (name) => {
    expect(isFull(systemError(constants.errno[name]))).toBe(false);
  });
});
