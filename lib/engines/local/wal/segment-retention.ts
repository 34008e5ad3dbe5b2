import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogError } from '../../../errors/storage.errors.js';
import { isMissing, messageOf } from './disk-error.js';
import type { LogFolder } from './log-folder.js';
import type { SegmentCatalog } from './segment-catalog.js';
import type { SegmentDescriptors } from './segment-descriptors.js';
import type { Segment } from './segment.js';
import { failpoint } from '../../../primitives/failpoint.js';

/** Deletes old files, and nothing that the database does not have. */
export class SegmentRetention {
  private last: Promise<void> = Promise.resolve();
  private deletion: Promise<void> = Promise.resolve();

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
    private readonly catalog: SegmentCatalog,
    private readonly descriptors: SegmentDescriptors,
    /** Rotated files to keep although they are wholly in the database. */
    private readonly retentionCount: number,
  ) {}

  /** One at a time. What was not deleted is tried again next time. @throws EventLogError of the disk, and whatever `confirm` throws. */
  run(confirm: () => Promise<number>, isAllowed: () => boolean): Promise<void> {
    const run = this.last.then(() => this.deleteOldest(confirm, isAllowed));
    this.last = run.catch(() => undefined);
    return run;
  }

  private async deleteOldest(confirm: () => Promise<number>, isAllowed: () => boolean): Promise<void> {
    if (this.deletable(this.catalog.applied).length === 0) return;
    failpoint('retention.before-confirm');
    const confirmed = Math.min(this.catalog.applied, await confirm());
    failpoint('retention.after-confirm');
    for (const segment of this.deletable(confirmed)) {
      // A disk that failed is left as it is.
      if (!isAllowed()) return;
      this.deletion = this.delete(segment);
      await this.deletion;
    }
  }

  /** Waits for the file that is being deleted, not for the database. */
  async settled(): Promise<void> {
    await this.deletion.catch(() => undefined); // its own caller is told
  }

  private async delete(segment: Segment): Promise<void> {
    const path = this.folder.segmentPath(segment.first);
    await this.descriptors.forget(segment.first);
    try {
      await this.fs.unlink(path).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
      failpoint('retention.after-unlink');
      this.catalog.remove(segment);
      // One by one: of two deletions that are not synced a crash may undo the second alone, which would leave a hole.
      await this.folder.sync();
      failpoint('retention.after-folder-sync');
    } catch (error) {
      throw new EventLogError('failed', 'none', `${path} could not be deleted: ${messageOf(error)}`, { cause: error });
    }
  }

  private deletable(appliedSeq: number): Segment[] {
    const applied = this.catalog.all.filter(
      (segment) => segment.sealed && segment !== this.catalog.current && segment.lastSeq <= appliedSeq,
    );
    const old = applied.slice(0, Math.max(0, applied.length - this.retentionCount));
    // The frame at which the database stands proves at the next start that both belong together.
    return old.filter((segment) => segment.lastSeq < appliedSeq);
  }
}
