import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import { encodeSeal, hex8, NO_CRC } from './frame.codec.js';
import type { LogFolder } from './log-folder.js';
import type { SegmentCatalog } from './segment-catalog.js';
import { successionFault, verifySegment, type VerifiedSegment } from './segment-verification.js';
import { openSegmentFile, type OpenSegmentFile } from './segment-file.js';
import { failpoint } from '../../../primitives/failpoint.js';

const COPY_CHUNK_BYTES = 1024 * 1024;

export interface RecoveredLog {
  readonly logId: string;
  readonly gen: number;
  readonly lastSeq: number;
  readonly lastAt: number;
  readonly created: boolean;
  /** Bytes of a torn last frame that were set aside, and where; 0 after a clean end. */
  readonly tornBytes: number;
  readonly tornCopy: string | null;
  /** The new last segment, already on disk. */
  readonly file: OpenSegmentFile;
}

/** Brings the folder into a state where every entry is verified, synced and sealed, and a new segment waits for the next one. */
export class LogRecovery {
  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly catalog: SegmentCatalog,
  ) {}

  /** @throws EventLogCorruptError; then nothing was changed but files that no open ever completed. */
  async run(newLogId: () => string): Promise<RecoveredLog> {
    await this.folder.removeTemporary();
    const firsts = await this.folder.segments();
    const verified: VerifiedSegment[] = [];
    for (const [i, first] of firsts.entries()) {
      const next = await verifySegment(this.fs, this.folder.segmentPath(first), first, i === firsts.length - 1);
      this.checkSuccession(verified.at(-1), next);
      verified.push(next);
    }
    const last = verified.at(-1);
    const torn = last === undefined ? null : await this.setTornAside(last);
    // A last segment without entries gives its name to the new one: nothing piles up however often a process restarts.
    if (last !== undefined && last.segment.count > 0) await this.rewrite(last);
    const kept = verified.filter((each) => each.segment.count > 0).map((each) => each.segment);
    for (const segment of kept) this.catalog.push(segment);
    const logId = last?.header.logId ?? newLogId();
    const gen = (last?.header.gen ?? 0) + 1;
    const file = await this.begin(logId, gen, last);
    return {
      logId,
      gen,
      lastSeq: file.segment.first - 1,
      lastAt: kept.at(-1)?.lastAt ?? 0,
      created: last === undefined,
      tornBytes: torn?.bytes ?? 0,
      tornCopy: torn?.path ?? null,
      file,
    };
  }

  private async begin(logId: string, gen: number, last: VerifiedSegment | undefined): Promise<OpenSegmentFile> {
    const isEmpty = last?.segment.count === 0;
    const first = last === undefined ? 1 : last.segment.lastSeq + 1;
    const prev = last === undefined ? NO_CRC : isEmpty ? last.header.prev : last.segment.chain;
    const gap = isEmpty && last.header.gap !== undefined ? { gap: last.header.gap } : {};
    const file = await openSegmentFile(this.fs, this.folder, { logId, gen, first, prev, ...gap });
    failpoint('recovery.after-next-file');
    try {
      await this.fs.rename(file.temporaryPath, this.folder.segmentPath(first));
      failpoint('recovery.after-rename');
      await this.folder.sync();
      failpoint('recovery.after-folder-sync');
    } catch (error) {
      await this.fs.close(file.fd).catch(() => undefined);
      throw error;
    }
    this.catalog.push(file.segment);
    return file;
  }

  private checkSuccession(before: VerifiedSegment | undefined, next: VerifiedSegment): void {
    if (before === undefined) return;
    const { header } = next;
    const fault = successionFault(before, header);
    if (fault !== null) throw new EventLogCorruptError(this.folder.segmentPath(header.first), 0, `${fault}.`);
  }

  /** Nobody was ever promised what a torn frame holds; a person may still want to see it. */
  private async setTornAside(last: VerifiedSegment): Promise<{ bytes: number; path: string } | null> {
    const { segment, fileBytes } = last;
    const bytes = fileBytes - segment.sizeBytes;
    if (bytes <= 0) return null;
    const source = this.folder.segmentPath(segment.first);
    const directory = this.folder.path('torn');
    await this.folder.create(directory);
    let crc = 0;
    for await (const chunk of this.chunks(source, segment.sizeBytes, fileBytes)) crc = crc32(chunk, crc);
    // The same torn bytes get the same name, so that a process that dies here again and again leaves one copy.
    const path = join(directory, `${basename(source)}.${segment.sizeBytes}.${hex8(crc)}`);
    await this.folder.replace(path, this.chunks(source, segment.sizeBytes, fileBytes));
    return { bytes, path };
  }

  /**
   * Copied, not continued: what a failed sync left in memory only may read back well, and would be lost by the next power
   * failure. Written anew and synced, what is served is on disk. Also when it ends in a seal: that may be what the sync lost,
   * and without it the segment could not have a successor.
   */
  private async rewrite(last: VerifiedSegment): Promise<void> {
    const { segment } = last;
    const path = this.folder.segmentPath(segment.first);
    if (segment.sealed) {
      await this.folder.replace(path, this.chunks(path, 0, segment.sizeBytes));
      return;
    }
    const seal = encodeSeal(segment.lastSeq, segment.count, segment.chain, segment.salt);
    await this.folder.replace(path, this.sealed(path, segment.sizeBytes, seal.line));
    segment.seal(seal.crc, seal.line.length);
  }

  private async *sealed(path: string, end: number, line: string): AsyncGenerator<Buffer> {
    yield* this.chunks(path, 0, end);
    yield Buffer.from(line, 'latin1');
  }

  private async *chunks(path: string, from: number, to: number): AsyncGenerator<Buffer> {
    const fd = await this.fs.open(path, 'read');
    try {
      for (let at = from; at < to;) {
        const buffer = Buffer.allocUnsafe(Math.min(COPY_CHUNK_BYTES, to - at));
        const read = await this.fs.read(fd, buffer, 0, buffer.length, at);
        if (read === 0) throw new EventLogCorruptError(path, at, 'the file became shorter while it was read.');
        yield buffer.subarray(0, read);
        at += read;
      }
    } finally {
      await this.fs.close(fd);
    }
  }
}
