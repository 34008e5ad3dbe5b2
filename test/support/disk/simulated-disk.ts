import { errno, MemoryDisk, type OperationName, PowerFailure } from '../../../lib/testing/disk/memory-disk.js';
import { type CrashMode, SimulatedFile } from '../../../lib/testing/disk/simulated-file.js';

export type { CrashMode } from '../../../lib/testing/disk/simulated-file.js';
export type { OperationName } from '../../../lib/testing/disk/memory-disk.js';

export interface Fault {
  /** Number of the operation, from 1. */
  readonly at: number;
  /**
   * `short`: the write takes half, then ENOSPC. `partial`: it takes half, and goes on after that. `zero`: it takes nothing.
   * `lost`: the sync fails, later ones do not, but what it should have written is gone, though it reads well.
   */
  readonly kind: 'EIO' | 'ENOSPC' | 'EINTR' | 'EMFILE' | 'short' | 'partial' | 'zero' | 'lost';
  /** Every operation from there on. */
  readonly persistent?: boolean;
  /** Only these; others succeed. */
  readonly only?: readonly OperationName[];
}

/** Sees what changes the disk, before it does. */
export interface DiskObserver {
  wrote(file: SimulatedFile, bytes: Buffer, taken: number): void;
  synced(file: SimulatedFile): void;
  renamed(file: SimulatedFile, to: string): void;
  removed(file: SimulatedFile): void;
}

/** Operations that a fault lets go wrong in its own way; others fail with a plain error. */
const OWN_WAY: Readonly<Record<string, readonly OperationName[]>> = {
  short: ['write'],
  partial: ['write'],
  zero: ['write'],
  lost: ['fsync', 'fdatasync'],
};
const OTHERWISE: Readonly<Record<string, string>> = { short: 'ENOSPC', partial: 'EIO', zero: 'EIO', lost: 'EIO' };

/**
 * A disk that knows what is synced. It can lose its power before any operation and fail any operation; operations are
 * counted, so that a test can visit each of them.
 */
export class SimulatedDisk extends MemoryDisk {
  readonly operations: { readonly name: OperationName; readonly path: string; readonly isChange: boolean }[] = [];
  /** Power fails before the operation of this number. */
  crashAt = Number.POSITIVE_INFINITY;
  fault: Fault | undefined;
  hasFired = false;
  /** As a limit on the size of files: a write takes what fits, then EFBIG. */
  maxFileBytes = Number.MAX_SAFE_INTEGER;
  observer: DiskObserver | undefined;
  /** A sync lets everything happen that waits for nothing else. */
  isSlow = false;

  get openDescriptors(): number {
    return this.descriptors.size;
  }

  override afterCrash(mode: CrashMode, random: () => number): SimulatedDisk {
    return this.survive(new SimulatedDisk(), mode, random);
  }

  /** The process died, the machine did not: its memory still has what no sync wrote. A fault that is still to come stays. */
  kill(): void {
    this.descriptors.clear();
    this.sockets.clear();
  }
  /** As `kill`, and the disk is well again. */
  restart(): void {
    this.kill();
    this.fault = undefined;
  }

  /** Whether a power failure leaves this file under this name. */
  isNamed(path: string, file?: SimulatedFile): boolean {
    const durable = this.durableNames.get(path);
    return file === undefined ? durable !== undefined : durable === file;
  }

  /** What the system shows of a file. */
  content(path: string): Buffer {
    return Buffer.from(this.file(path).cached);
  }
  put(path: string, content: Buffer): void {
    const file = new SimulatedFile(path, Buffer.from(content));
    this.names.set(path, file);
    this.durableNames.set(path, file);
  }
  paths(): string[] {
    return [...this.names.keys()].sort();
  }
  /** An independent copy of everything that the system shows. */
  clone(): SimulatedDisk {
    return this.afterCrash('keep', () => 0);
  }

  override async write(fd: number, buffer: Buffer, offset: number, length: number): Promise<number> {
    const file = this.descriptor(fd);
    const fault = await this.operation('write', file.path, true);
    const room = Math.min(length, this.maxFileBytes - file.cached.length);
    if (room <= 0) throw errno('EFBIG');
    const taken = fault === undefined ? room : fault.kind === 'zero' ? 0 : Math.floor(length / 2);
    const bytes = buffer.subarray(offset, offset + length);
    this.observer?.wrote(file, bytes, taken);
    file.append(Buffer.from(bytes.subarray(0, taken)));
    if (fault?.kind === 'short') this.fault = { ...fault, at: this.operations.length + 1, kind: 'ENOSPC' };
    return taken;
  }

  protected override async sync(name: 'fsync' | 'fdatasync', fd: number): Promise<void> {
    const file = this.descriptor(fd);
    if ((await this.operation(name, file.path, true)) !== undefined) {
      file.failSync();
      throw errno('EIO');
    }
    this.synced(file);
    this.observer?.synced(file);
  }

  protected override renaming(file: SimulatedFile, to: string): void {
    this.observer?.renamed(file, to);
  }
  protected override removing(file: SimulatedFile): void {
    this.observer?.removed(file);
  }

  /** Settles in a later turn, as a real one. Returns the fault when the operation has to go wrong in its own way. */
  protected override async operation(name: OperationName, path: string, isChange = false): Promise<Fault | undefined> {
    // A sync takes long: whoever does not wait for it is caught saying so.
    const isSync = name === 'fsync' || name === 'fdatasync';
    for (let turn = isSync ? 8 : 1; turn > 0; turn--) await Promise.resolve();
    if (isSync && this.isSlow) for (let turn = 2; turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve));
    const n = this.operations.length + 1;
    this.isDown ||= n >= this.crashAt;
    if (this.isDown) throw new PowerFailure('the power failed');
    this.operations.push({ name, path, isChange });
    const { fault } = this;
    if (fault === undefined || (fault.persistent === true ? n < fault.at : n !== fault.at)) return undefined;
    if (fault.only?.includes(name) === false) return undefined;
    this.hasFired = true;
    if (OWN_WAY[fault.kind]?.includes(name) === true) return fault;
    throw errno(OTHERWISE[fault.kind] ?? fault.kind);
  }
}
