import type { LogGroup } from '../../../contracts/event-log.interface.js';
import { MAX_FRAME_BODY_BYTES } from '../../../domain/bounds.js';
import { ValidationError } from '../../../errors/request.errors.js';
import { lineBytesAtMost } from './entry.codec.js';

const MAX_FRAME_ENTRIES = 1024;
/** A frame that has this much takes no further group. */
const SOFT_FRAME_BYTES = 1024 * 1024;

export interface Batch<G> {
  readonly groups: G[];
  readonly bytesAtMost: number;
}

/** Groups that wait for a frame, in order. */
export class CommitQueue<G extends LogGroup> {
  private groups: G[] = [];
  private bytes: number[] = [];
  private head = 0;
  private waitingBytes = 0;

  get isEmpty(): boolean {
    return this.head === this.groups.length;
  }
  get pendingBytes(): number {
    return this.waitingBytes;
  }

  /** @throws ValidationError when no frame could ever hold the group: it is refused before it gets a number. */
  push(group: G): void {
    if (group.drafts.length === 0) throw new ValidationError('payload', 'A group without entries.');
    let bytes = 0;
    for (const draft of group.drafts) {
      bytes += lineBytesAtMost(draft);
      if (draft.body.includes('\n')) throw new ValidationError('payload', 'The encoded entry holds a line break; JSON has none.');
    }
    if (bytes > MAX_FRAME_BODY_BYTES || group.drafts.length > MAX_FRAME_ENTRIES) {
      throw new ValidationError(
        'payload',
        `Entries that belong together exceed ${MAX_FRAME_BODY_BYTES} bytes or ${MAX_FRAME_ENTRIES} entries.`,
      );
    }
    this.groups.push(group);
    this.bytes.push(bytes);
    this.waitingBytes += bytes;
  }

  /** The next frame: whole groups, as many as fit, at least one. */
  take(): Batch<G> {
    let end = this.head;
    let entries = 0;
    let bytesAtMost = 0;
    while (end < this.groups.length) {
      const nextEntries = this.groups[end]!.drafts.length;
      const nextBytes = this.bytes[end]!;
      if (end > this.head && (entries + nextEntries > MAX_FRAME_ENTRIES || bytesAtMost + nextBytes > SOFT_FRAME_BYTES)) break;
      entries += nextEntries;
      bytesAtMost += nextBytes;
      end++;
    }
    const groups = this.groups.slice(this.head, end);
    this.head = end;
    this.waitingBytes -= bytesAtMost;
    this.compact();
    return { groups, bytesAtMost };
  }

  /** Takes matching groups out, wherever they wait. */
  withdraw(match: (group: G) => boolean): G[] {
    const taken: G[] = [];
    const kept: G[] = [];
    const keptBytes: number[] = [];
    for (let i = this.head; i < this.groups.length; i++) {
      const group = this.groups[i]!;
      if (match(group)) {
        taken.push(group);
        this.waitingBytes -= this.bytes[i]!;
      } else {
        kept.push(group);
        keptBytes.push(this.bytes[i]!);
      }
    }
    this.groups = kept;
    this.bytes = keptBytes;
    this.head = 0;
    return taken;
  }

  /** Taken groups are let go in bulk: shifting a long queue for every frame would cost more than the frame. */
  private compact(): void {
    if (this.head < this.groups.length && this.head < 16_384) {
      this.groups.fill(undefined as unknown as G, Math.max(0, this.head - MAX_FRAME_ENTRIES), this.head);
      return;
    }
    this.groups.splice(0, this.head);
    this.bytes.splice(0, this.head);
    this.head = 0;
  }
}
