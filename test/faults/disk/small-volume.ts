import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const mount = (path: string, size: string): string | undefined => {
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', path], { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
};
const unmount = (path: string): void => {
  const { status, stderr } = spawnSync('umount', ['-l', path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
};

/** Why no file system can be mounted here, or undefined. */
export function whyNoVolume(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root may mount a file system, on Linux';
  const path = mkdtempSync(join(tmpdir(), 'taskflow-mount-'));
  const why = mount(path, '64k');
  if (why === undefined) unmount(path);
  rmdirSync(path);
  return why;
}

/** A file system of its own on a folder, of this size. Returns what takes it away again. */
export function mountVolume(path: string, size: string): () => void {
  const why = mount(path, size);
  if (why !== undefined) throw new Error(why);
  return () => unmount(path);
}
