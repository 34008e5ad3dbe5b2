import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogFullError } from '../../../errors/storage.errors.js';
import { type LogFolder, TEMPORARY, writeFully } from './log-folder.js';
import type { SegmentCatalog } from './segment-catalog.js';

const WATCH_MS = 5_000;
/** While something is refused. */
const PROBE_MS = 1_000;
const PROBE_BYTES = 64 * 1024;

export interface SpaceLimits {
  readonly minFreeBytes: number;
  readonly maxUnflushedBytes: number;
}

/** How much room there is, asked beside the append path; and whether there is room again after there was none. */
export class SpaceWatch {
  private timer: Timer | undefined;
  private freeBytes = Number.POSITIVE_INFINITY;
  private unflushed = 0;
  private isExhausted = false;
  private isStopped = false;
  private isAwaited = false;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly catalog: SegmentCatalog,
    private readonly clock: Clock,
    private readonly limits: SpaceLimits,
    /** Called after each look. */
    private readonly onLook: () => void,
  ) {}

  /** The first look happens before the log accepts anything. */
  async start(): Promise<void> {
    this.recount();
    await this.look();
    this.schedule();
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  /** The disk took no more: every second it is tried, until it does. */
  exhausted(): void {
    this.isExhausted = true;
    this.schedule();
  }

  /** Whoever waits for room is work under way: the process stays alive for the next look, and with it for whatever makes room. */
  awaited(isAwaited: boolean): void {
    if (isAwaited === this.isAwaited) return;
    this.isAwaited = isAwaited;
    if (this.timer !== undefined) this.schedule();
  }

  /** Bytes that went to disk since the last look. */
  wrote(bytes: number): void {
    this.freeBytes -= bytes;
    this.recount();
  }

  /** The database took entries, or the log did. */
  recount(): void {
    this.unflushed = this.catalog.unflushedBytes;
  }

  /** Why entries are refused, or undefined. Lifecycle entries go on to the physical end. */
  refusal(kind: 'bulk' | 'lifecycle'): EventLogFullError | undefined {
    if (this.isExhausted)
      return new EventLogFullError(`The event log has no room: the disk of ${this.folder.directory} is full.`, PROBE_MS);
    if (kind === 'lifecycle') return undefined;
    const { minFreeBytes, maxUnflushedBytes } = this.limits;
    if (this.freeBytes < minFreeBytes) {
      return new EventLogFullError(
        `Less than eventLog.minFreeBytes (${minFreeBytes}) is free on the disk of ${this.folder.directory}.`,
        PROBE_MS,
      );
    }
    if (this.unflushed >= maxUnflushedBytes) {
      return new EventLogFullError(`eventLog.maxUnflushedBytes (${maxUnflushedBytes}) are waiting for the database.`, PROBE_MS);
    }
    return undefined;
  }

  private schedule(): void {
    this.timer?.cancel();
    if (this.isStopped) return;
    const delayMs = this.refusal('bulk') === undefined ? WATCH_MS : PROBE_MS;
    this.timer = this.clock.after(
      delayMs,
      () => {
        this.timer = undefined;
        void this.look().then(() => this.schedule());
      },
      this.isAwaited,
    );
  }

  private async look(): Promise<void> {
    try {
      this.freeBytes = (await this.fs.statfs(this.folder.directory)).freeBytes;
      if (this.isExhausted && !this.isStopped) await this.probe();
    } catch {
      // No answer changes nothing: what was known before still holds, and the next look is soon.
    }
    if (!this.isStopped) this.onLook();
  }

  /** Only a write proves that there is room: quotas and limits on files do not show in free bytes. */
  private async probe(): Promise<void> {
    const path = this.folder.path(`${this.folder.stem}-probe${TEMPORARY}`);
    await this.fs.unlink(path).catch(() => undefined); // one that an earlier probe could not remove
    const fd = await this.fs.open(path, 'create');
    try {
      await writeFully(this.fs, fd, Buffer.alloc(PROBE_BYTES));
      this.isExhausted = false;
    } finally {
      await this.fs.close(fd).catch(() => undefined);
      await this.fs.unlink(path);
    }
  }
}
