import { basename, dirname, extname, join, resolve } from 'node:path';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { ConfigValidationError } from '../../../errors/config.errors.js';
import { codeOf, isMissing } from './disk-error.js';
import { failpoint } from '../../../primitives/failpoint.js';

/** `f_type` of file systems whose locks and syncs another machine answers for. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
]);
const DIGITS = 16;
export const TEMPORARY = '.tmp';

/** The folder cannot hold a log. */
export const refuse = (message: string): ConfigValidationError => new ConfigValidationError([{ path: 'eventLog.eventLogPath', message }]);

/** Names, and the folder that they are in. `./.taskflow/events.log` stands for `./.taskflow/events-<first seq>.log`. */
export class LogFolder {
  readonly directory: string;
  readonly stem: string;
  private readonly extension: string;

  constructor(
    private readonly fs: LogFileSystem,
    eventLogPath: string,
  ) {
    const path = resolve(eventLogPath);
    this.directory = dirname(path);
    this.extension = extname(path);
    this.stem = basename(path, this.extension);
  }

  segmentPath(first: number): string {
    return join(this.directory, `${this.stem}-${String(first).padStart(DIGITS, '0')}${this.extension}`);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** First sequences of the segments, ascending. Other files are none of the log's business. */
  async segments(): Promise<number[]> {
    const firsts: number[] = [];
    for (const name of await this.fs.readdir(this.directory)) {
      const middle = name.slice(this.stem.length + 1, name.length - this.extension.length);
      if (/^\d{16}$/.test(middle) && Number.isSafeInteger(Number(middle)) && name === `${this.stem}-${middle}${this.extension}`)
        firsts.push(Number(middle));
    }
    return firsts.sort((a, b) => a - b);
  }

  /** Removes what a crash left half made. Only the holder of the lock may. */
  async removeTemporary(): Promise<void> {
    for (const name of await this.fs.readdir(this.directory)) if (this.isTemporary(name)) await this.fs.unlink(this.path(name));
  }

  /** Of this log alone: one whose name only begins alike may lie beside it, and be about to give its file its name. */
  private isTemporary(name: string): boolean {
    if (!name.startsWith(`${this.stem}-`) || !name.endsWith(TEMPORARY)) return false;
    return /^(\d{16}(?!\d)|flush-cursor)/.test(name.slice(this.stem.length + 1));
  }

  /** Makes the names in a folder durable. */
  async sync(directory: string = this.directory): Promise<void> {
    const fd = await this.fs.open(directory, 'folder');
    try {
      await this.fs.fsync(fd);
    } finally {
      await this.fs.close(fd);
    }
  }

  /** Creates the folder where it is missing. @throws ConfigValidationError when the log cannot live there. */
  async prepare(): Promise<void> {
    await this.create(this.directory);
    if (!(await this.fs.isWritable(this.directory)))
      throw refuse(`${this.directory} is not writable by this process; give it a folder of its own.`);
    const network = NETWORK.get((await this.fs.statfs(this.directory)).type);
    if (network !== undefined)
      throw refuse(
        `${this.directory} is on a network file system (${network}), where neither lock nor sync can be relied on; use a local disk.`,
      );
  }

  /** A folder that we create is for its owner alone, and its name is durable before anything is put into it. */
  async create(directory: string): Promise<void> {
    const kind = await this.kindOf(directory);
    if (kind === 'directory') return;
    if (kind === 'link') throw refuse(`${directory} is a symbolic link; name the folder itself.`);
    if (kind !== undefined) throw refuse(`${directory} is not a folder.`);
    const parent = dirname(directory);
    if ((await this.kindOf(parent)) !== 'link') await this.create(parent); // a link further up is the host's own arrangement
    try {
      await this.fs.mkdir(directory);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EEXIST') return this.create(directory);
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR')
        throw refuse(`${directory} cannot be created (${code}).`);
      throw error;
    }
    await this.sync(parent);
  }

  /** An empty file for its owner alone, where there is none. One that is there keeps its mode: whoever widened it may have meant to. */
  async createFile(path: string): Promise<void> {
    await this.create(dirname(path));
    try {
      await this.fs.close(await this.fs.open(path, 'create'));
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return;
      throw error;
    }
    await this.sync(dirname(path));
  }

  private async kindOf(path: string): Promise<string | undefined> {
    try {
      return (await this.fs.stat(path)).kind;
    } catch (error) {
      if (isMissing(error)) return undefined;
      if (codeOf(error) === 'ENOTDIR') throw refuse(`${path} cannot be a folder: something above it is a file.`);
      if (codeOf(error) === 'EACCES') throw refuse(`${path} is not accessible to this process.`);
      throw error;
    }
  }

  /** Writes a whole file under a name, durable when it resolves: temporary file, sync, rename, sync of the folder. */
  async replace(path: string, content: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    const temporary = join(this.directory, `${basename(path).startsWith(this.stem) ? '' : `${this.stem}-`}${basename(path)}${TEMPORARY}`);
    await this.fs.unlink(temporary).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    const fd = await this.fs.open(temporary, 'create');
    try {
      for await (const chunk of content) await writeFully(this.fs, fd, chunk);
      failpoint('replace.after-copy');
      await this.fs.fsync(fd);
    } finally {
      await this.fs.close(fd);
    }
    failpoint('replace.after-sync');
    await this.fs.rename(temporary, path);
    failpoint('replace.after-rename');
    await this.sync(dirname(path));
    failpoint('replace.after-folder-sync');
  }
}

/** A write may take fewer bytes than it was given. */
export async function writeFully(fs: LogFileSystem, fd: number, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const taken = await fs.write(fd, bytes, written, bytes.length - written);
    if (taken === 0) throw Object.assign(new Error('The disk took no bytes.'), { code: 'EIO' });
    written += taken;
  }
}
