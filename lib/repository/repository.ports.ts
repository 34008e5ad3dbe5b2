import type { Clock } from '../contracts/clock.interface.js';
import type { CursorFile } from '../contracts/task-store.interface.js';

/**
 * Who opens the database: it decides on timeouts and pool sizes. `confirm` is for one read, on a connection of its own; `node` for the
 * calls of a node of the cluster, one after the other. Both leave the schema as it is.
 */
export type DatabaseRole = 'reader' | 'writer' | 'confirm' | 'node';

/** What this floor needs of others to open a database. */
export interface DatabasePorts {
  readonly clock: Clock;
  /** Makes an empty file, 0600, and what folders are missing above it, 0700; leaves existing ones as they are. */
  readonly ensureFile: (path: string) => Promise<void>;
  /** The storage that is read fell silent, or was heard of again. Must not throw. */
  readonly onSilence?: (isSilent: boolean) => void;
  /** True in the process that owns the log: its statements must not wait inside the driver. */
  readonly sharesProcessWithLog: boolean;
}

/** What a custom repository needs beside it. */
export interface CustomStoragePorts {
  readonly clock: Clock;
  readonly onSilence?: DatabasePorts['onSilence'];
  readonly cursorFile: CursorFile;
  /** Id of the one log that the repository belongs to; asked for when it is needed, since the log opens later. */
  readonly logId: () => string;
}

/** What a projector has to say. Called after the commit; must not throw. */
export interface ProjectionReport {
  /** The task did not get its key: `holder`, a task of another home, has it. */
  keyConflict(taskId: string, holder: string): void;
  /** So many entries of the task were set aside in `taskflow_dead_entries`. */
  quarantined(taskId: string, entries: number, reason: string): void;
  /** The log has not got so many entries of the task any more: a custom repository was given events that say so in their places. */
  bridged?(taskId: string, entries: number): void;
}
