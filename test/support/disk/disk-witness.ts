import { parseSegment } from '../oracle/segment-parser.js';
import type { DiskObserver, SimulatedDisk } from './simulated-disk.js';
import type { SimulatedFile } from '../../../lib/testing/disk/simulated-file.js';

const isSegment = (path: string): boolean => /events-\d{16}\.log$/.test(path);

/**
 * Watches every change that the log makes and writes down what it may never do: a frame before the sync of the one before it, a frame
 * in a file whose name a crash could take, a name for content that is not synced, a file deleted that the database does not have, or
 * before the deletion of the one before it is synced.
 */
export class DiskWitness implements DiskObserver {
  readonly violations: string[] = [];
  /** What the database has. */
  appliedSeq = 0;
  frames = 0;
  removals = 0;
  private readonly unsynced = new Map<SimulatedFile, number>();
  private readonly gone: string[] = [];

  constructor(private readonly disk: SimulatedDisk) {
    disk.observer = this;
  }

  wrote(file: SimulatedFile, bytes: Buffer, taken: number): void {
    const left = this.unsynced.get(file);
    const isRest = left !== undefined && left > 0 && bytes.length === left;
    if (isSegment(file.path) && !isRest) {
      this.frames++;
      if (left !== undefined) this.violated(`a frame is written to ${file.path} before the one before it is synced`);
      if (!this.disk.isNamed(file.path, file)) this.violated(`a frame is written to ${file.path}, whose name is not synced`);
    }
    this.unsynced.set(file, bytes.length - taken);
  }

  synced(file: SimulatedFile): void {
    this.unsynced.delete(file);
  }

  renamed(file: SimulatedFile, to: string): void {
    if (!file.isDurable) this.violated(`${to} is named before its content is synced`);
  }

  removed(file: SimulatedFile): void {
    if (!isSegment(file.path)) return;
    this.removals++;
    const lastSeq = parseSegment(file.cached).at(-1)?.seq ?? 0;
    if (lastSeq > this.appliedSeq) this.violated(`${file.path} is deleted with entry ${lastSeq}; the database has ${this.appliedSeq}`);
    if (this.gone.some((path) => this.disk.isNamed(path))) this.violated(`${file.path} is deleted before the deletion before it is synced`);
    this.gone.push(file.path);
  }

  private violated(what: string): void {
    this.violations.push(what);
  }
}
