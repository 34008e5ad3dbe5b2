import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { inOwnContext } from '../../../primitives/async-context.js';
import { isMissing } from './disk-error.js';
import type { LogFolder } from './log-folder.js';

const MAX_IDLE = 32;

interface Descriptor {
  readonly fd: Promise<number>;
  users: number;
}

/** Files open for reading, a few kept open between reads. */
export class SegmentDescriptors {
  private readonly open = new Map<number, Descriptor>();
  private isClosed = false;

  constructor(
    private readonly fs: LogFileSystem,
    private readonly folder: LogFolder,
  ) {}

  /** Null when the segment is gone. */
  async use<T>(first: number, work: (fd: number) => Promise<T>): Promise<T | null> {
    const descriptor = this.take(first);
    try {
      return await work(await descriptor.fd);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    } finally {
      descriptor.users -= 1;
      await this.trim();
    }
  }

  /** Before its file is deleted, so that the space comes free. A read under way ends first. */
  async forget(first: number): Promise<void> {
    const descriptor = this.open.get(first);
    if (descriptor === undefined || descriptor.users > 0) return;
    this.open.delete(first);
    await this.close(descriptor);
  }

  async closeAll(): Promise<void> {
    this.isClosed = true;
    await this.trim();
  }

  private take(first: number): Descriptor {
    const known = this.open.get(first);
    const descriptor = known ?? { fd: inOwnContext(() => this.fs.open(this.folder.segmentPath(first), 'read')), users: 0 };
    descriptor.users += 1;
    // Last in the map: most recently used.
    this.open.delete(first);
    this.open.set(first, descriptor);
    // A failed open is not remembered.
    if (known === undefined) descriptor.fd.catch(() => void (this.open.get(first) === descriptor && this.open.delete(first)));
    return descriptor;
  }

  private async trim(): Promise<void> {
    const keep = this.isClosed ? 0 : MAX_IDLE;
    for (const [first, descriptor] of this.open) {
      if (this.open.size <= keep) return;
      if (descriptor.users > 0) continue;
      this.open.delete(first);
      await this.close(descriptor);
    }
  }

  private async close(descriptor: Descriptor): Promise<void> {
    await descriptor.fd.then((fd) => this.fs.close(fd)).catch(() => undefined);
  }
}
