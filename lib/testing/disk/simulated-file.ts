const SECTOR_BYTES = 512;

/** What a power failure leaves of what was not synced. */
export type CrashMode =
  /** Nothing. */
  | 'drop'
  /** All of it. */
  | 'keep'
  /** Contents, but no name that was not synced. */
  | 'drop-names'
  /** Names, but no content that was not synced. */
  | 'drop-data'
  /** Each sector and each name for itself, as it was synced or as it was last seen. */
  | 'sectors'
  /** What was written last; what was written before it is zeros. Names in any order. */
  | 'reorder';

interface Range {
  readonly start: number;
  readonly end: number;
}

/** A file or folder: its content as the system shows it, and as the platter has it. */
export class SimulatedFile {
  /** Writes since the last sync that worked, in order. */
  private unsynced: Range[] = [];
  /** What a failed sync gave up: its pages count as clean, so that no later sync writes them. */
  private lost: Range[] = [];
  private durable: Buffer;

  constructor(
    /** Where it is, or was before it was removed. */
    public path: string,
    public cached: Buffer = Buffer.alloc(0),
    readonly isFolder = false,
  ) {
    this.durable = cached;
  }

  append(bytes: Buffer): void {
    this.unsynced.push({ start: this.cached.length, end: this.cached.length + bytes.length });
    this.cached = Buffer.concat([this.cached, bytes]);
  }

  truncate(length: number): void {
    this.cached = Buffer.from(this.cached.subarray(0, length));
    this.unsynced = clipped(this.unsynced, length);
    this.lost = clipped(this.lost, length);
  }

  sync(): void {
    this.durable = this.platterOf(this.lost);
    this.unsynced = [];
  }

  /** fsyncgate: the pages are marked clean, and read well, but never reach the platter. */
  failSync(): void {
    this.lost.push(...this.unsynced);
    this.unsynced = [];
  }

  get isDurable(): boolean {
    return this.cached.equals(this.durable);
  }

  afterCrash(mode: CrashMode, random: () => number): Buffer {
    if (mode === 'drop' || mode === 'drop-data') return this.durable;
    if (mode === 'sectors') return this.mixedSectors(random);
    if (mode === 'reorder') return this.reordered(random);
    return this.platterOf(this.lost);
  }

  /** The content, had everything reached the platter but some ranges: there the old bytes lie, or zeros. */
  private platterOf(missing: readonly Range[]): Buffer {
    const content = Buffer.from(this.cached);
    for (const { start, end } of missing) {
      content.fill(0, start, end);
      this.durable.subarray(start, end).copy(content, start);
    }
    return content;
  }

  /** Each sector of the file is the old one or the new one; what was never written is zeros. */
  private mixedSectors(random: () => number): Buffer {
    const { durable } = this;
    const cached = this.platterOf(this.lost);
    const grown = Math.max(0, cached.length - durable.length);
    const length = random() < 0.5 ? cached.length : durable.length + Math.floor(random() * (grown + 1));
    const mixed = Buffer.alloc(length);
    for (let at = 0; at < mixed.length; at += SECTOR_BYTES) {
      const source = random() < 0.5 ? cached : durable;
      source.subarray(at, Math.min(at + SECTOR_BYTES, mixed.length)).copy(mixed, at);
    }
    return mixed;
  }

  /** From some byte of some write on everything survives, and nothing of the writes before it. A cut that was not synced may be undone. */
  private reordered(random: () => number): Buffer {
    if (this.unsynced.length === 0) return random() < 0.5 ? this.durable : this.platterOf(this.lost);
    const first = this.unsynced[Math.floor(random() * this.unsynced.length)]!;
    const split = first.start + Math.floor(random() * (first.end - first.start));
    return this.platterOf([...this.lost, ...clipped(this.unsynced, split)]);
  }
}

const clipped = (ranges: readonly Range[], length: number): Range[] =>
  ranges.filter(({ start }) => start < length).map(({ start, end }) => ({ start, end: Math.min(end, length) }));
