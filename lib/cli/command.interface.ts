import type { Clock, IdSource } from '../contracts/clock.interface.js';
import type { LogFileSystem } from '../contracts/log-file-system.interface.js';
import type { Arguments } from './arguments.js';

/** What a command works with. */
export interface CommandContext {
  readonly args: Arguments;
  readonly fs: LogFileSystem;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** To standard output; resolves when it may go on. */
  readonly write: (text: string) => Promise<void>;
}

export interface CommandResult {
  /** 0: all is well; 1: a problem was found, or remains. */
  readonly exitCode: 0 | 1;
  /** For `--json`. */
  readonly report: object;
  /** For people. */
  readonly lines: readonly string[];
}

export type Command = (context: CommandContext) => Promise<CommandResult>;
