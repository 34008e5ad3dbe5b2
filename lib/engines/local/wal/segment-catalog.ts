import { Segment } from './segment.js';

/** The segments on disk, ascending; the last one takes the writes. */
export class SegmentCatalog {
  private readonly segments: Segment[] = [];
  private appliedSeq = 0;

  get all(): readonly Segment[] {
    return this.segments;
  }
  get applied(): number {
    return this.appliedSeq;
  }
  get current(): Segment {
    return this.segments[this.segments.length - 1]!;
  }

  push(segment: Segment): void {
    this.segments.push(segment);
  }
  remove(segment: Segment): void {
    this.segments.splice(this.segments.indexOf(segment), 1);
  }

  byFirst(first: number): Segment | undefined {
    const found = this.holding(first);
    return found?.first === first ? found : this.segments.find((segment) => segment.first === first);
  }

  /** The segment that has, or would have, a sequence; undefined when it begins before all of them. */
  holding(seq: number): Segment | undefined {
    for (let i = this.segments.length - 1; i >= 0; i--) if (this.segments[i]!.first <= seq) return this.segments[i];
    return undefined;
  }

  apply(seq: number): void {
    this.appliedSeq = Math.max(this.appliedSeq, seq);
  }

  /** Bytes that the database does not have, as exact as the index: up to 16 KiB too many. */
  get unflushedBytes(): number {
    let bytes = 0;
    for (let i = this.segments.length - 1; i >= 0; i--) {
      const segment = this.segments[i]!;
      if (segment.lastSeq <= this.appliedSeq) break;
      const from = segment.first > this.appliedSeq ? segment.bodyStart : (segment.index.atSeq(this.appliedSeq + 1) ?? segment.bodyStart);
      bytes += segment.sizeBytes - from;
    }
    return bytes;
  }
}
