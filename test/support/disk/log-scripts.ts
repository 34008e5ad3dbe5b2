import type { EventLogOptions } from '../../../lib/config/event-log.options.js';

/** What a process does with its log, one thing after the other. */
export type LogStep =
  /** Groups that are appended at once, with so many entries each. */
  | { readonly append: readonly number[] }
  /** The same, while two readers follow. */
  | { readonly read: readonly number[] }
  /** The database has all but the last entries; what it has may be deleted. */
  | 'apply'
  /** Time passes, and nothing is appended. */
  | 'age'
  /** A second process tries to open the log. */
  | 'contend'
  /** A clean end, and another start. */
  | 'restart'
  /** An end without a close, and another start. */
  | 'kill';

export interface LogScript {
  readonly name: string;
  readonly options: Partial<EventLogOptions>;
  readonly steps: readonly LogStep[];
}

const groups = (...sizes: readonly (readonly number[])[]): LogStep[] => sizes.map((append) => ({ append }));
const aLife: readonly LogStep[] = [...groups([1], [2, 1], [1], [3, 1, 1], [1], [1, 1]), 'apply', ...groups([1, 2])];

/** Together: append, rotate by size and by age, seal, retain, read, close, die, recover. */
export const LOG_SCRIPTS: readonly LogScript[] = [
  { name: 'life', options: { maxSizeBytesPerFile: 900, retentionCount: 1 }, steps: [...aLife, 'restart', ...aLife] },
  {
    name: 'a file for each frame',
    options: { maxSizeBytesPerFile: 1, retentionCount: 0, maxAgePerFile: 10_000 },
    steps: [
      ...groups([1], [2], [1], [1, 1]),
      'age',
      'apply',
      ...groups([1], [1]),
      'kill',
      ...groups([1], [3]),
      'apply',
      'restart',
      'apply',
    ],
  },
  {
    name: 'readers',
    options: { maxSizeBytesPerFile: 900, retentionCount: 0 },
    steps: [
      { read: [1, 2] },
      { read: [1] },
      'contend',
      { read: [3] },
      'apply',
      'kill',
      { read: [2] },
      'contend',
      { read: [1, 1] },
      'apply',
    ],
  },
  {
    name: 'restarts',
    options: { maxSizeBytesPerFile: 900, retentionCount: 1 },
    steps: [
      'restart',
      'restart',
      ...groups([1]),
      'kill',
      'kill',
      ...groups([2]),
      'restart',
      'kill',
      ...groups([1]),
      'kill',
      ...groups([1]),
    ],
  },
];
