import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { codeOf } from './disk-error.js';
import { encodeSegmentHeader, FORMAT_VERSION, type SegmentHeader } from './frame.codec.js';
import { type LogFolder, TEMPORARY, writeFully } from './log-folder.js';
import { Segment } from './segment.js';

/** A segment that takes writes. */
export interface OpenSegmentFile {
  readonly fd: number;
  readonly segment: Segment;
  /** Its name until it is renamed. */
  readonly temporaryPath: string;
}

/** The call that failed, and whether it was a sync: those can never be tried again. */
export class SegmentFileError extends Error {
  constructor(
    override readonly cause: unknown,
    readonly isSync: boolean,
  ) {
    super('The next segment could not be created.', { cause });
  }
}

/** A new segment under a temporary name, its header synced. @throws the error of the disk call, after the file was removed. */
export async function openSegmentFile(fs: LogFileSystem, folder: LogFolder, given: Omit<SegmentHeader, 'v'>): Promise<OpenSegmentFile> {
  const { line, salt } = encodeSegmentHeader({ v: FORMAT_VERSION, ...given });
  const temporaryPath = `${folder.segmentPath(given.first)}${TEMPORARY}`;
  const fd = await create(fs, temporaryPath);
  let isSync = false;
  try {
    await writeFully(fs, fd, Buffer.from(line, 'latin1'));
    isSync = true;
    await fs.fsync(fd);
  } catch (error) {
    await discardSegmentFile(fs, { fd, temporaryPath });
    throw new SegmentFileError(error, isSync);
  }
  return { fd, temporaryPath, segment: new Segment(given.first, given.gen, salt, line.length, given.prev) };
}

/** One that could not be removed when it was discarded is in the way. */
async function create(fs: LogFileSystem, path: string): Promise<number> {
  try {
    return await fs.open(path, 'create');
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    await fs.unlink(path);
    return fs.open(path, 'create');
  }
}

/** What cannot be removed now is removed at the next open. */
export async function discardSegmentFile(fs: LogFileSystem, file: { fd: number; temporaryPath: string }): Promise<void> {
  await fs.close(file.fd).catch(() => undefined);
  await fs.unlink(file.temporaryPath).catch(() => undefined);
}
