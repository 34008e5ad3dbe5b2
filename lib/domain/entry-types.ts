import type { EntryType } from '../contracts/task-event.interface.js';

interface EntryKind {
  /** `stream`: it has a `seq`, and subscribers replay it. `control`: it has none, and changes the task alone. */
  readonly is: 'stream' | 'control';
  /** The last event of a life. */
  readonly ends?: true;
  /** Refused early when space is short: a task that begins, reports, or shows that it lives. What ends a task, or moves it on, is not. */
  readonly bulk?: true;
}

/**
 * Every type of entry, and what it is. A new one is a row here; its effect is in `fold.ts`, its rule in `transition.ts`, what subscribers
 * see of it in `task-event.ts`. A release that reads it comes before the first one that writes it (docs/log-format.md).
 */
const ENTRY_TYPES: Readonly<Record<EntryType, EntryKind>> = {
  created: { is: 'stream', bulk: true },
  start: { is: 'stream' },
  progress: { is: 'stream', bulk: true },
  custom: { is: 'stream', bulk: true },
  retry: { is: 'stream' },
  recovered: { is: 'stream' },
  complete: { is: 'stream', ends: true },
  error: { is: 'stream', ends: true },
  cancelled: { is: 'stream', ends: true },
  heartbeat: { is: 'control', bulk: true },
  cancel: { is: 'control' },
  pruned: { is: 'control' },
  'dlq-removed': { is: 'control' },
  adopted: { is: 'control' },
  gap: { is: 'control' },
};

const typesThat = (hold: (kind: EntryKind) => boolean): ReadonlySet<EntryType> =>
  new Set((Object.keys(ENTRY_TYPES) as EntryType[]).filter((type) => hold(ENTRY_TYPES[type])));
const CONTROL = typesThat(({ is }) => is === 'control');
const TERMINAL = typesThat(({ ends }) => ends === true);
const BULK = typesThat(({ bulk }) => bulk === true);

export const isEntryType = (text: string): text is EntryType => Object.hasOwn(ENTRY_TYPES, text);
export const isControl = (type: EntryType): boolean => CONTROL.has(type);
export const isTerminal = (type: EntryType): boolean => TERMINAL.has(type);
export const isBulk = (type: EntryType): boolean => BULK.has(type);
