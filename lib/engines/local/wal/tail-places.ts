/** Where a frame begins, and what it must continue. */
export interface TailPlace {
  /** First entry of its segment. */
  readonly segment: number;
  readonly offset: number;
  /** First entry of the frame. */
  readonly seq: number;
  /** What the frame must name as the one before it. */
  readonly chain: string;
}

/** As much as is read at once: less apart, they would save nothing. */
const APART_BYTES = 256 * 1024;
/** 16 MiB: twice what a batch holds, which is how far back a tail is sent. */
const MAX_PLACES = 64;

/**
 * Places behind which a tail has verified everything, some way apart. A tail that is sent back goes on at one of them: each retry of a
 * flush sends it back to the cursor, and to verify the segment from its first byte again would cost as much as 10 MiB of it.
 */
export class TailPlaces {
  private places: TailPlace[] = [];

  /** Called with each frame in order. */
  pass(place: TailPlace): void {
    const last = this.places.at(-1);
    if (last !== undefined && (place.seq <= last.seq || (place.segment === last.segment && place.offset - last.offset < APART_BYTES)))
      return;
    this.places.push(place);
    if (this.places.length > MAX_PLACES) this.places.shift();
  }

  /** The last one at or before an entry of this segment. */
  before(seq: number, segment: number): TailPlace | undefined {
    return this.places.findLast((place) => place.segment === segment && place.seq <= seq);
  }

  clear(): void {
    this.places = [];
  }
}
