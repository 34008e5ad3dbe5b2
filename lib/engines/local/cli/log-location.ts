import { join, resolve } from 'node:path';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { isMissing } from '../wal/disk-error.js';
import { LogFolder } from '../wal/log-folder.js';
import { UsageError } from '../../../cli/arguments.js';

export interface LogLocation {
  readonly eventLogPath: string;
  readonly folder: LogFolder;
}

/** The log that a path names: its eventLogPath, or a folder with one log in it. @throws UsageError when there is none. */
export async function locateLog(fs: LogFileSystem, path: string): Promise<LogLocation> {
  const eventLogPath = (await isFolder(fs, path)) ? await onlyLogIn(fs, resolve(path)) : resolve(path);
  const folder = new LogFolder(fs, eventLogPath);
  const segments = (await isFolder(fs, folder.directory)) ? await folder.segments() : [];
  if (segments.length === 0) throw new UsageError(`there is no event log at ${eventLogPath}`);
  return { eventLogPath, folder };
}

async function onlyLogIn(fs: LogFileSystem, folder: string): Promise<string> {
  const names = new Set<string>();
  for (const name of await fs.readdir(folder)) {
    const match = /^(.+)-\d{16}(\.[^.]*)?$/.exec(name);
    if (match !== null) names.add(`${match[1]}${match[2] ?? ''}`);
  }
  const [first, ...others] = names;
  if (first === undefined) throw new UsageError(`there is no event log in ${folder}`);
  if (others.length > 0)
    throw new UsageError(`${folder} has several logs; name one: ${[...names].map((name) => join(folder, name)).join(', ')}`);
  return join(folder, first);
}

async function isFolder(fs: LogFileSystem, path: string): Promise<boolean> {
  try {
    return (await fs.stat(path)).kind === 'directory';
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
