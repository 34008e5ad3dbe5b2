import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { LockSocket, LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogLockedError } from '../../../errors/storage.errors.js';
import { codeOf, isMissing } from './disk-error.js';
import type { LogFolder } from './log-folder.js';

const RETRY_MS = 50;

/** What the holder tells whoever asks. */
export interface LockHolder {
  readonly pid: number;
  readonly owner: string;
  /** ISO time of its open. */
  readonly since: string;
}

/**
 * One writer per log: a listening Unix socket in the log folder, which the kernel closes when its process dies. Each contender
 * binds a name of its own, then looks at all others: of two that come at once at least one sees the other and steps back.
 */
export class LogLock {
  private held: LockSocket | undefined;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly clock: Clock,
    private readonly ids: IdSource,
  ) {}

  /** @throws EventLogLockedError when another process held it for all of `timeoutMs`. */
  async acquire(timeoutMs: number, holder: () => LockHolder): Promise<void> {
    const start = this.clock.monotonic();
    for (;;) {
      const other = await this.attempt(() => `${JSON.stringify(holder())}\n`);
      if (other === null) return;
      const waitedMs = this.clock.monotonic() - start;
      if (waitedMs >= timeoutMs) throw new EventLogLockedError(this.folder.directory, describe(other), Math.round(waitedMs));
      // Of different length for each, so that two that stepped back do not meet again.
      await this.pause(Math.min(RETRY_MS * (1 + this.ids.random()), timeoutMs - waitedMs));
    }
  }

  /** Who holds it now, or null. Asks only. */
  async look(): Promise<string | null> {
    const { greeting } = await this.findHolder(undefined);
    return greeting === null ? null : describe(greeting);
  }

  async release(): Promise<void> {
    const held = this.held;
    this.held = undefined;
    await held?.close();
  }

  /** Null: it is ours. Else what the other holder said. */
  private async attempt(greeting: () => string): Promise<string | null> {
    const before = await this.findHolder(undefined);
    if (before.greeting !== null) return before.greeting;
    const name = `${this.prefix}${process.pid}-${Math.floor(this.ids.random() * 0x1_0000_0000).toString(16)}`;
    const socket = await this.bind(name, greeting);
    if (socket === null) return '';
    try {
      const { greeting: other, stale } = await this.findHolder(name);
      if (other === null) {
        for (const left of stale) await this.remove(left);
        this.held = socket;
        return null;
      }
      await socket.close();
      return other;
    } catch (error) {
      await socket.close();
      throw error;
    }
  }

  private async bind(name: string, greeting: () => string): Promise<LockSocket | null> {
    try {
      return await this.fs.listen(this.folder.directory, name, greeting);
    } catch (error) {
      if (codeOf(error) === 'EADDRINUSE') return null;
      throw error;
    }
  }

  private async findHolder(except: string | undefined): Promise<{ greeting: string | null; stale: string[] }> {
    const stale: string[] = [];
    for (const name of await this.fs.readdir(this.folder.directory)) {
      if (!name.startsWith(this.prefix) || name === except) continue;
      const greeting = await this.fs.greet(this.folder.directory, name);
      if (greeting !== null) return { greeting, stale };
      stale.push(name);
    }
    return { greeting: null, stale };
  }

  private async remove(name: string): Promise<void> {
    await this.fs.unlink(this.folder.path(name)).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }

  private get prefix(): string {
    return `${this.folder.stem}.lock.`;
  }

  private pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(delayMs, resolve, true));
  }
}

function describe(greeting: string): string {
  try {
    const { pid, owner, since } = JSON.parse(greeting) as LockHolder;
    return `process ${pid} (owner ${owner}, since ${since})`;
  } catch {
    return 'a process that does not answer';
  }
}
