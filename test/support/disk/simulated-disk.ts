import { dirname } from 'node:path';
import type { FileStat, LockSocket, LogFileSystem, VolumeStat } from '../../../lib/contracts/log-file-system.interface.js';
import { type CrashMode, SimulatedFile } from './simulated-file.js';

export type { CrashMode } from './simulated-file.js';
export type OperationName = Exclude<keyof LogFileSystem, 'isWritable' | 'greet'>;

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

/** What every call after the crash throws. */
class PowerFailure extends Error {}

/** Operations that a fault lets go wrong in its own way; others fail with a plain error. */
const OWN_WAY: Readonly<Record<string, readonly OperationName[]>> = {
  short: ['write'],
  partial: ['write'],
  zero: ['write'],
  lost: ['fsync', 'fdatasync'],
};
const OTHERWISE: Readonly<Record<string, string>> = { short: 'ENOSPC', partial: 'EIO', zero: 'EIO', lost: 'EIO' };

const errno = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

/**
 * A disk that knows what is synced. It can lose its power before any operation and fail any operation; operations are
 * counted, so that a test can visit each of them.
 */
export class SimulatedDisk implements LogFileSystem {
  readonly operations: { readonly name: OperationName; readonly path: string; readonly isChange: boolean }[] = [];
  /** Power fails before the operation of this number. */
  crashAt = Number.POSITIVE_INFINITY;
  fault: Fault | undefined;
  hasFired = false;
  /** Power has failed. */
  isDown = false;
  freeBytes = Number.MAX_SAFE_INTEGER;
  /** As a limit on the size of files: a write takes what fits, then EFBIG. */
  maxFileBytes = Number.MAX_SAFE_INTEGER;
  observer: DiskObserver | undefined;
  /** A sync lets everything happen that waits for nothing else. */
  isSlow = false;
  private names = new Map<string, SimulatedFile>();
  private durableNames = new Map<string, SimulatedFile>();
  private readonly descriptors = new Map<number, SimulatedFile>();
  private readonly sockets = new Map<string, () => string>();
  private nextFd = 100;

  constructor() {
    const root = new SimulatedFile('/', Buffer.alloc(0), true);
    this.names.set('/', root);
    this.durableNames.set('/', root);
  }

  get openDescriptors(): number {
    return this.descriptors.size;
  }

  /** The disk that the next process finds. */
  afterCrash(mode: CrashMode, random: () => number): SimulatedDisk {
    const next = new SimulatedDisk();
    for (const [path, file] of this.survivingNames(mode, random)) {
      const copy = new SimulatedFile(path, Buffer.from(file.afterCrash(mode, random)), file.isFolder);
      next.names.set(path, copy);
      next.durableNames.set(path, copy);
    }
    return next;
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

  private survivingNames(mode: CrashMode, random: () => number): Map<string, SimulatedFile> {
    if (mode === 'keep' || mode === 'drop-data') return this.names;
    if (mode === 'drop' || mode === 'drop-names') return this.durableNames;
    // Each name for itself is as it was synced, or as it was last seen.
    const survivors = new Map<string, SimulatedFile>();
    for (const path of new Set([...this.durableNames.keys(), ...this.names.keys()])) {
      const file = (random() < 0.5 ? this.names : this.durableNames).get(path);
      if (file !== undefined) survivors.set(path, file);
    }
    for (const path of [...survivors.keys()].sort()) if (!survivors.has(dirname(path))) survivors.delete(path);
    return survivors;
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

  async open(path: string, use: 'read' | 'create' | 'folder'): Promise<number> {
    await this.operation('open', path, use === 'create');
    if (use === 'create') {
      if (this.names.has(path)) throw errno('EEXIST');
      this.folderOf(path);
      this.names.set(path, new SimulatedFile(path));
    }
    this.descriptors.set(++this.nextFd, this.file(path));
    return this.nextFd;
  }

  async close(fd: number): Promise<void> {
    const { path } = this.descriptor(fd);
    this.descriptors.delete(fd); // also when it fails, as close(2) does
    await this.operation('close', path);
  }

  async read(fd: number, buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    const file = this.descriptor(fd);
    await this.operation('read', file.path);
    return file.cached.copy(buffer, offset, position, position + length);
  }

  async write(fd: number, buffer: Buffer, offset: number, length: number): Promise<number> {
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

  async fdatasync(fd: number): Promise<void> {
    await this.sync('fdatasync', fd);
  }
  async fsync(fd: number): Promise<void> {
    await this.sync('fsync', fd);
  }

  async ftruncate(fd: number, length: number): Promise<void> {
    const file = this.descriptor(fd);
    await this.operation('ftruncate', file.path, true);
    file.truncate(length);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.operation('rename', from, true);
    const file = this.file(from);
    this.folderOf(to);
    this.observer?.renamed(file, to);
    this.names.delete(from);
    this.names.set(to, file);
    file.path = to;
  }

  async unlink(path: string): Promise<void> {
    await this.operation('unlink', path, true);
    this.observer?.removed(this.file(path));
    this.names.delete(path);
  }

  async mkdir(path: string): Promise<void> {
    await this.operation('mkdir', path, true);
    if (this.names.has(path)) throw errno('EEXIST');
    this.folderOf(path);
    this.names.set(path, new SimulatedFile(path, Buffer.alloc(0), true));
  }

  async readdir(path: string): Promise<string[]> {
    await this.operation('readdir', path);
    this.file(path);
    const prefix = path === '/' ? '/' : `${path}/`;
    const files = [...this.names.keys(), ...this.sockets.keys()];
    return files
      .filter((name) => name !== '/' && name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
      .map((name) => name.slice(prefix.length));
  }

  async stat(path: string): Promise<FileStat> {
    await this.operation('stat', path);
    const { isFolder, cached } = this.file(path);
    return { kind: isFolder ? 'directory' : 'file', sizeBytes: cached.length };
  }

  async statfs(path: string): Promise<VolumeStat> {
    await this.operation('statfs', path);
    return { type: 0xef53, freeBytes: this.freeBytes };
  }

  async isWritable(): Promise<boolean> {
    return true;
  }

  async listen(folderPath: string, name: string, greeting: () => string): Promise<LockSocket> {
    await this.operation('listen', `${folderPath}/${name}`);
    this.sockets.set(`${folderPath}/${name}`, greeting);
    return {
      isPresent: async () => this.sockets.has(`${folderPath}/${name}`),
      close: async () => void this.sockets.delete(`${folderPath}/${name}`),
    };
  }

  async greet(folderPath: string, name: string): Promise<string | null> {
    return this.sockets.get(`${folderPath}/${name}`)?.() ?? null;
  }

  private async sync(name: 'fsync' | 'fdatasync', fd: number): Promise<void> {
    const file = this.descriptor(fd);
    if ((await this.operation(name, file.path, true)) !== undefined) {
      file.failSync();
      throw errno('EIO');
    }
    if (file.isFolder) this.syncNames(file.path);
    else file.sync();
    this.observer?.synced(file);
  }

  private syncNames(path: string): void {
    const isIn = (name: string): boolean => name !== '/' && dirname(name) === path;
    for (const name of this.durableNames.keys()) if (isIn(name) && !this.names.has(name)) this.durableNames.delete(name);
    for (const [name, file] of this.names) if (isIn(name)) this.durableNames.set(name, file);
  }

  /** Settles in a later turn, as a real one. Returns the fault when the operation has to go wrong in its own way. */
  private async operation(name: OperationName, path: string, isChange = false): Promise<Fault | undefined> {
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

  private descriptor(fd: number): SimulatedFile {
    const file = this.descriptors.get(fd);
    if (file === undefined) throw errno('EBADF');
    return file;
  }
  private file(path: string): SimulatedFile {
    const file = this.names.get(path);
    if (file === undefined) throw errno('ENOENT');
    return file;
  }
  private folderOf(path: string): void {
    if (this.names.get(dirname(path))?.isFolder !== true) throw errno('ENOENT');
  }
}
