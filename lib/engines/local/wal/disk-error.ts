import { constants } from 'node:os';

/** No room for bytes or for one more file: passes by itself when room is made. EFBIG: a limit on file size. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EMFILE', 'ENFILE']);

/** By shape, not by class: an error of node:fs may come from another realm than ours. */
const fieldOf = (error: unknown, field: 'code' | 'message'): string | undefined => {
  const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, field) : undefined;
  return typeof value === 'string' ? value : undefined;
};

/** libuv has no name for a quota that is used up: there the number alone tells. */
const isQuota = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && Reflect.get(error, 'errno') === -constants.errno.EDQUOT;

export const codeOf = (error: unknown): string => (isQuota(error) ? 'EDQUOT' : (fieldOf(error, 'code') ?? ''));
export const isFull = (error: unknown): boolean => FULL.has(codeOf(error));
export const isMissing = (error: unknown): boolean => codeOf(error) === 'ENOENT';
export const messageOf = (error: unknown): string => fieldOf(error, 'message') ?? String(error);
