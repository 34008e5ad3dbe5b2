import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type { LockSocket, LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogError, EventLogLockedError } from '../../../errors/storage.errors.js';
import { codeOf, isMissing } from './disk-error.js';
import { type LogFolder, refuse } from './log-folder.js';

const RETRY_MS = 50;
/** Whoever waits longer is told of it. */
const NOTICE_MS = 1_000;
/** What `bind` answers where a folder takes no sockets; that files can be created there was tried before. */
const NO_SOCKETS = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'EACCES', 'EINVAL', 'ENOSYS', 'ENODEV', 'EAFNOSUPPORT']);

/** What somebody who opens a log wants to know of the wait, and may have ended. */
export interface LockWait {
  /** Called once, after a second. */
  waiting(directory: string, holder: string, timeoutMs: number): void;
  isGivenUp(): boolean;
}

/** Whoever writes asks it first. */
export interface HeldLock {
  /** @throws an Error that says what to do, once the lock keeps nobody out any more. */
  requireHeld(): Promise<void>;
}

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
export class LogLock implements HeldLock {
  private held: { readonly socket: LockSocket; readonly name: string } | undefined;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly clock: Clock,
    private readonly ids: IdSource,
  ) {}

  /** @throws EventLogLockedError when another process held it for all of `timeoutMs`; EventLogError `closed` when the wait was given up. */
  async acquire(timeoutMs: number, holder: () => LockHolder, wait?: LockWait): Promise<void> {
    const start = this.clock.monotonic();
    for (let hasTold = false; ;) {
      const other = await this.attempt(() => `${JSON.stringify(holder())}\n`);
      if (other === null) return;
      if (wait?.isGivenUp() === true) throw new EventLogError('closed', 'none', 'The start was ended while it waited for the event log.');
      const waitedMs = this.clock.monotonic() - start;
      if (waitedMs >= timeoutMs) throw new EventLogLockedError(this.folder.directory, other, Math.round(waitedMs));
      if (!hasTold && waitedMs >= NOTICE_MS) {
        hasTold = true;
        wait?.waiting(this.folder.directory, other, timeoutMs);
      }
      // The pause is random, so that two processes that both stepped back do not collide again.
      await this.pause(Math.min(RETRY_MS * (1 + this.ids.random()), timeoutMs - waitedMs));
    }
  }

  /** Who holds it now, or null. Asks only. */
  async look(): Promise<string | null> {
    return (await this.findHolder(undefined)).holder;
  }

  /**
   * Invariant: an entry is acknowledged only if the lock was present after its bytes were written. A second process finds no lock, binds
   * its own, and only then reads what is there: so it reads that entry.
   */
  async requireHeld(): Promise<void> {
    if (this.held === undefined || (await this.held.socket.isPresent())) return;
    throw new Error(
      `its lock ${this.folder.path(this.held.name)} was removed while this process ran, so that another one may hold the log by now. ` +
        'Keep cleaners away from that folder, and start this process again.',
    );
  }

  async release(): Promise<void> {
    const { held } = this;
    this.held = undefined;
    await held?.socket.close();
  }

  /** Null: it is ours. Else who holds it. */
  private async attempt(greeting: () => string): Promise<string | null> {
    const before = await this.findHolder(undefined);
    if (before.holder !== null) return before.holder;
    const name = `${this.prefix}${process.pid}-${Math.floor(this.ids.random() * 0x1_0000_0000).toString(16)}`;
    const socket = await this.bind(name, greeting);
    if (socket === null) return describe('');
    try {
      const { holder, stale } = await this.findHolder(name);
      if (holder === null) {
        for (const left of stale) await this.remove(left);
        this.held = { socket, name };
        return null;
      }
      await socket.close();
      return holder;
    } catch (error) {
      await socket.close();
      throw error;
    }
  }

  private async bind(name: string, greeting: () => string): Promise<LockSocket | null> {
    try {
      return await this.fs.listen(this.folder.directory, name, greeting);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EADDRINUSE') return null;
      if (!NO_SOCKETS.has(code)) throw error;
      throw refuse(
        `${this.folder.directory} takes no Unix socket (${code}), which is the lock of the log: its file system has none, or they are forbidden there. ` +
          'Use a folder on a local disk; in a container a volume, not a shared folder of the host.',
      );
    }
  }

  private async findHolder(except: string | undefined): Promise<{ holder: string | null; stale: string[] }> {
    const stale: string[] = [];
    for (const name of await this.fs.readdir(this.folder.directory)) {
      if (!name.startsWith(this.prefix) || name === except) continue;
      const holder = await this.ask(name);
      if (holder !== null) return { holder, stale };
      stale.push(name);
    }
    return { holder: null, stale };
  }

  private async ask(name: string): Promise<string | null> {
    try {
      const greeting = await this.fs.greet(this.folder.directory, name);
      return greeting === null ? null : describe(greeting);
    } catch (error) {
      return `a process of another user, or by what it left behind (this user may not connect to ${this.folder.path(name)}: ${codeOf(error)}; if no such process runs, remove that file)`;
    }
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
