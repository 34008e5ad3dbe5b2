import { statSync } from 'node:fs';

/** Of files of the program itself: asked once, at the start. */
export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
