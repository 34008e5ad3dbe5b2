import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import type { CursorFile, FlushCursor } from '../../../contracts/task-store.interface.js';
import { EventLogCorruptError } from '../../../errors/storage.errors.js';
import { isMissing } from './disk-error.js';
import { LogFolder } from './log-folder.js';
import type { WhileHeld } from './log-tenure.js';

const MAX_BYTES = 4096;

/** What the file of the one log of a folder is called; also what every log's was called once. */
const NAME = 'flush-cursor.json';
const DEFAULT_STEM = 'events';

/**
 * How far a custom repository is: `flush-cursor.json` in the log folder, for a log of another name than `events` with that name in front,
 * since two logs may share a folder.
 */
export class LogCursorFile implements CursorFile {
  private readonly folder: LogFolder;
  private readonly path: string;

  constructor(
    private readonly fs: LogFileSystem,
    eventLogPath: string,
    /** Left out: whoever writes holds the lock. */
    private readonly whileHeld: WhileHeld = (work) => work(),
  ) {
    this.folder = new LogFolder(fs, eventLogPath);
    const { stem } = this.folder;
    this.path = this.folder.path(stem === DEFAULT_STEM ? NAME : `${stem}-${NAME}`);
  }

  /** Null: nothing was ever written. @throws EventLogCorruptError when the file is not a cursor. */
  async read(): Promise<FlushCursor | null> {
    const text = (await this.text(this.path)) ?? (await this.text(this.folder.path(NAME)));
    if (text === null) return null;
    try {
      const cursor = JSON.parse(text) as FlushCursor;
      if (typeof cursor.logId === 'string' && Number.isSafeInteger(cursor.appliedSeq) && typeof cursor.appliedCrc === 'string')
        return cursor;
    } catch {
      // Said below.
    }
    throw new EventLogCorruptError(this.path, 0, 'it is not a flush cursor; restore it, or remove it to apply the whole log again.');
  }

  async write(cursor: FlushCursor, check?: (stored: FlushCursor | null) => void): Promise<void> {
    await this.whileHeld(async () => {
      check?.(await this.read());
      await this.folder.replace(this.path, [Buffer.from(`${JSON.stringify(cursor)}\n`)]);
    });
  }

  private async text(path: string): Promise<string | null> {
    let fd: number;
    try {
      fd = await this.fs.open(path, 'read');
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    try {
      const buffer = Buffer.alloc(MAX_BYTES);
      return buffer.toString('utf8', 0, await this.fs.read(fd, buffer, 0, MAX_BYTES, 0));
    } finally {
      await this.fs.close(fd);
    }
  }
}
