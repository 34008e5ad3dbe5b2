import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

export const disk = { writes: 0, bytes: 0, syncs: 0 };

/**
 * Counts what the log writes and syncs, and lets reads, writes and syncs end at the next turn of the event loop: how many entries
 * share a sync, and how often a reader waits, then depend on the program alone, not on how fast the disk is. Nothing is synced: these runs count, they promise nothing.
 * Call it before the library is loaded.
 */
export function countDisk() {
  const write = fs.write;
  fs.write = (fd, buffer, offset, length, position, done) => {
    // Other shapes of the call are not the log's.
    if (typeof done !== 'function')
      return write.apply(
        fs,
        [fd, buffer, offset, length, position, done].filter((argument) => argument !== undefined),
      );
    const written = fs.writeSync(fd, buffer, offset, length, position);
    disk.writes++;
    disk.bytes += written;
    setImmediate(done, null, written, buffer);
  };
  const read = fs.read;
  fs.read = (fd, buffer, offset, length, position, done) => {
    if (typeof done !== 'function')
      return read.apply(
        fs,
        [fd, buffer, offset, length, position, done].filter((argument) => argument !== undefined),
      );
    setImmediate(done, null, fs.readSync(fd, buffer, offset, length, position), buffer);
  };
  fs.fdatasync = (_fd, done) => {
    disk.syncs++;
    setImmediate(done, null);
  };
  syncBuiltinESMExports();
}
