import { dirname } from 'node:path';
import type { FileStat, LockSocket, LogFileSystem, VolumeStat } from '../../contracts/log-file-system.interface.js';
import { type CrashMode, SimulatedFile } from './simulated-file.js';

export type { CrashMode } from './simulated-file.js';
export type OperationName = Exclude<keyof LogFileSystem, 'isWritable' | 'greet'>;

/** `log-full`: no write finds room. `log-failed`: no sync succeeds. */
export type DiskFailure = 'log-full' | 'log-failed';

/** What every call after the crash throws. */
export class PowerFailure extends Error {}

export const errno = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

/** A disk in memory that knows what is synced: after a crash, the next process finds nothing else. */
export class MemoryDisk implements LogFileSystem {
  /** Power has failed. */
  isDown = false;
  freeBytes = Number.MAX_SAFE_INTEGER;
  failure: DiskFailure | undefined;
  /** Calls so far; who asks for the free space changes nothing by it. */
  calls = 0;
  protected readonly names = new Map<string, SimulatedFile>();
  protected readonly durableNames = new Map<string, SimulatedFile>();
  protected readonly descriptors = new Map<number, SimulatedFile>();
  protected readonly sockets = new Map<string, () => string>();
  private nextFd = 100;

  constructor() {
    const root = new SimulatedFile('/', Buffer.alloc(0), true);
    this.names.set('/', root);
    this.durableNames.set('/', root);
  }

  /** Has `next` begin with what a crash leaves here. */
  protected survive<D extends MemoryDisk>(next: D, mode: CrashMode, random: () => number): D {
    for (const [path, file] of this.survivingNames(mode, random)) {
      const copy = new SimulatedFile(path, Buffer.from(file.afterCrash(mode, random)), file.isFolder);
      next.names.set(path, copy);
      next.durableNames.set(path, copy);
    }
    return next;
  }

  /** The disk that the next process finds. */
  afterCrash(mode: CrashMode = 'drop', random: () => number = () => 0): MemoryDisk {
    const next = this.survive(new MemoryDisk(), mode, random);
    next.failure = this.failure;
    return next;
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
    await this.operation('write', file.path, true);
    if (this.failure === 'log-full') throw errno('ENOSPC');
    file.append(Buffer.from(buffer.subarray(offset, offset + length)));
    return length;
  }

  fdatasync(fd: number): Promise<void> {
    return this.sync('fdatasync', fd);
  }
  fsync(fd: number): Promise<void> {
    return this.sync('fsync', fd);
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
    this.renaming(file, to);
    this.names.delete(from);
    this.names.set(to, file);
    file.path = to;
  }

  async unlink(path: string): Promise<void> {
    await this.operation('unlink', path, true);
    this.removing(this.file(path));
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
    return [...this.names.keys(), ...this.sockets.keys()]
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

  /** Before each of them: settles in a later turn, as a real one. */
  protected async operation(name: OperationName, _path: string, _isChange = false): Promise<unknown> {
    await Promise.resolve();
    if (this.isDown) throw new PowerFailure('the power failed');
    if (name !== 'statfs') this.calls += 1;
    return undefined;
  }

  protected async sync(name: 'fsync' | 'fdatasync', fd: number): Promise<void> {
    const file = this.descriptor(fd);
    await this.operation(name, file.path, true);
    if (this.failure === 'log-failed') {
      file.failSync();
      throw errno('EIO');
    }
    this.synced(file);
  }

  protected renaming(_file: SimulatedFile, _to: string): void {}
  protected removing(_file: SimulatedFile): void {}
  protected synced(file: SimulatedFile): void {
    if (file.isFolder) this.syncNames(file.path);
    else file.sync();
  }

  private syncNames(path: string): void {
    const isIn = (name: string): boolean => name !== '/' && dirname(name) === path;
    for (const name of this.durableNames.keys()) if (isIn(name) && !this.names.has(name)) this.durableNames.delete(name);
    for (const [name, file] of this.names) if (isIn(name)) this.durableNames.set(name, file);
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

  protected descriptor(fd: number): SimulatedFile {
    const file = this.descriptors.get(fd);
    if (file === undefined) throw errno('EBADF');
    return file;
  }
  protected file(path: string): SimulatedFile {
    const file = this.names.get(path);
    if (file === undefined) throw errno('ENOENT');
    return file;
  }
  protected folderOf(path: string): void {
    if (this.names.get(dirname(path))?.isFolder !== true) throw errno('ENOENT');
  }
}
