/** What lies at a path; links are not followed. */
export interface FileStat {
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly sizeBytes: number;
}

export interface VolumeStat {
  /** `f_type` of statfs(2) as an unsigned 32-bit number; 0 where the platform gives none. */
  readonly type: number;
  /** Bytes an ordinary user may still write. */
  readonly freeBytes: number;
}

/** A socket that says, as long as the process lives, that the log is held. */
export interface LockSocket {
  /** False once its file is gone from the folder, by whoever's hand: then it keeps nobody out any more. */
  isPresent(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Every disk call of the log, so that tests can crash a simulated disk after each one. Descriptors are numbers; errors carry
 * the `code` of the system call. Nothing here follows a link at the last path component, and nothing blocks the event loop.
 */
export interface LogFileSystem {
  /** `create`: must not exist, mode 0600, every write appends. `folder`: for `fsync` alone. */
  open(path: string, use: 'read' | 'create' | 'folder'): Promise<number>;
  close(fd: number): Promise<void>;
  /** Bytes read, 0 at the end of the file. */
  read(fd: number, buffer: Buffer, offset: number, length: number, position: number): Promise<number>;
  /** Bytes written, possibly fewer than asked. */
  write(fd: number, buffer: Buffer, offset: number, length: number): Promise<number>;
  fdatasync(fd: number): Promise<void>;
  fsync(fd: number): Promise<void>;
  ftruncate(fd: number, length: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** One folder, mode 0700; its parent must exist. */
  mkdir(path: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  stat(path: string): Promise<FileStat>;
  statfs(path: string): Promise<VolumeStat>;
  /** Whether this process may create files in the folder. */
  isWritable(path: string): Promise<boolean>;
  /** Listens on a socket file in the folder; whoever connects is told the greeting. Rejects with EADDRINUSE when the name is taken. */
  listen(folder: string, name: string, greeting: () => string): Promise<LockSocket>;
  /**
   * The greeting of whoever listens (empty when it does not answer), or null: nobody does (ECONNREFUSED, ENOENT; nothing else means free).
   * Rejects with EACCES or EPERM when this user may not ask.
   */
  greet(folder: string, name: string): Promise<string | null>;
}
