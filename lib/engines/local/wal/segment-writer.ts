import type { Clock } from '../../../contracts/clock.interface.js';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogFullError } from '../../../errors/storage.errors.js';
import { codeOf, isFull, messageOf } from './disk-error.js';
import { encodeSeal, MAX_MARK_BYTES } from './frame.codec.js';
import type { BuiltFrame } from './frame-builder.js';
import { type LogFolder, writeFully } from './log-folder.js';
import type { HeldLock } from './log-lock.js';
import type { SegmentCatalog } from './segment-catalog.js';
import { discardSegmentFile, openSegmentFile, type OpenSegmentFile, SegmentFileError } from './segment-file.js';
import type { Segment } from './segment.js';
import { failpoint } from '../../../primitives/failpoint.js';

export interface RotationLimits {
  /** Bytes. */
  readonly maxSizeBytesPerFile: number;
  /** Ms, on the monotonic clock, since the header was written. */
  readonly maxAgePerFile: number;
}

/**
 * The file that takes the writes. Everything here either succeeds, or throws EventLogFullError and has left no trace on disk,
 * or throws something else: then the descriptor must never be written or synced again.
 */
export class SegmentWriter {
  private openedAt: number;
  /** The system lets this file grow no further; the next one has room. */
  private isAtLimit = false;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly catalog: SegmentCatalog,
    private readonly clock: Clock,
    private readonly limits: RotationLimits,
    private readonly logId: string,
    private file: OpenSegmentFile,
    private readonly lock: HeldLock,
  ) {
    this.openedAt = clock.monotonic();
  }

  get segment(): Segment {
    return this.file.segment;
  }

  /** Whether a frame of so many bytes belongs into the next file. An empty one takes any frame. */
  isDue(frameBytes: number): boolean {
    if (this.segment.count === 0) return false;
    if (this.isAtLimit) return true;
    const isLarge = this.segment.sizeBytes + frameBytes + 2 * MAX_MARK_BYTES > this.limits.maxSizeBytesPerFile;
    return isLarge || this.clock.monotonic() - this.openedAt >= this.limits.maxAgePerFile;
  }

  async write(bytes: Buffer): Promise<void> {
    try {
      await writeFully(this.fs, this.file.fd, bytes);
    } catch (error) {
      if (!isFull(error)) throw error;
      this.isAtLimit = codeOf(error) === 'EFBIG';
      await this.rollBack();
      throw full(error);
    }
  }

  /** What was written is durable, and whoever opens this log next reads it. @throws also once the lock is gone. */
  async sync(): Promise<void> {
    // The look beside the sync, which takes longer: what counts is that it comes after the write.
    await Promise.all([this.fs.fdatasync(this.file.fd), this.lock.requireHeld()]);
  }

  /** The frame is durable now. */
  advance(frame: BuiltFrame): void {
    this.segment.add(frame, frame.bytes.length);
  }

  /**
   * Folder and next file are open before this one is sealed, so that "no room", and no descriptor for either, is found out while nothing
   * has changed.
   */
  async rotate(): Promise<void> {
    const folder = await this.openFolder();
    try {
      await this.rotateIn(folder);
    } finally {
      await this.fs.close(folder).catch(() => undefined); // nothing was written through it
    }
  }

  private async openFolder(): Promise<number> {
    try {
      return await this.fs.open(this.folder.directory, 'folder');
    } catch (error) {
      throw isFull(error) ? full(error) : error;
    }
  }

  private async rotateIn(folder: number): Promise<void> {
    const { segment } = this;
    const seal = encodeSeal(segment.lastSeq, segment.count, segment.chain, segment.salt);
    const next = await this.prepareNext(segment, seal.crc);
    failpoint('rotation.after-next-file');
    try {
      await this.write(Buffer.from(seal.line, 'latin1'));
    } catch (error) {
      await discardSegmentFile(this.fs, next);
      throw error;
    }
    failpoint('rotation.after-seal-write');
    await this.sync();
    failpoint('rotation.after-seal-sync');
    segment.seal(seal.crc, seal.line.length);
    // The name may be that of a file which another process writes to by now.
    await this.lock.requireHeld();
    await this.fs.rename(next.temporaryPath, this.folder.segmentPath(next.segment.first));
    failpoint('rotation.after-rename');
    await this.fs.fsync(folder);
    failpoint('rotation.after-folder-sync');
    const { fd } = this.file;
    this.file = next;
    this.catalog.push(next.segment);
    this.openedAt = this.clock.monotonic();
    this.isAtLimit = false;
    await this.fs.close(fd).catch(() => undefined); // durable already; a failed close costs a descriptor at worst
  }

  private async prepareNext(segment: Segment, prev: string): Promise<OpenSegmentFile> {
    try {
      return await openSegmentFile(this.fs, this.folder, { logId: this.logId, gen: segment.gen, first: segment.lastSeq + 1, prev });
    } catch (error) {
      const isWrapped = error instanceof SegmentFileError;
      const cause = isWrapped ? error.cause : error;
      if (isFull(cause) && !(isWrapped && error.isSync)) throw full(cause);
      throw cause;
    }
  }

  /** The end of a clean run. No room for the seal is no harm: the next open writes it. */
  async finish(): Promise<void> {
    const { segment } = this;
    if (segment.count > 0 && !segment.sealed) {
      const seal = encodeSeal(segment.lastSeq, segment.count, segment.chain, segment.salt);
      await this.write(Buffer.from(seal.line, 'latin1'));
      await this.sync();
      segment.seal(seal.crc, seal.line.length);
    }
  }

  async release(): Promise<void> {
    await this.fs.close(this.file.fd).catch(() => undefined);
  }

  /** Bytes that were refused must not be found by a later open: cut off, and the cut synced (this works on a full disk). */
  private async rollBack(): Promise<void> {
    await this.fs.ftruncate(this.file.fd, this.segment.sizeBytes);
    await this.fs.fsync(this.file.fd);
  }
}

const full = (cause: unknown): EventLogFullError =>
  new EventLogFullError(`The event log has no room: ${messageOf(cause)}`, 1000, { cause });
