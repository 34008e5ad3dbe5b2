import type { Clock, Timer } from '../../../contracts/clock.interface.js';
import { taskId, type TaskId } from '../../../contracts/ids.js';

/** How hints leave this node; where they cannot, nothing is lost but time. */
export type HintSender = (payload: string) => Promise<void>;

export interface HintReceiver {
  /** Something is ready that its node has no room for. */
  work(): void;
  /** Runs of these tasks are asked to end. */
  cancels(ids: readonly TaskId[]): void;
  /** Something happened to these tasks. */
  events(ids: readonly TaskId[]): void;
}

/** Between two hints of one node: they are coalesced, since each is a transaction of its own. Unit: ms. */
const GATHER_MS = 10;
/** PostgreSQL takes fewer than 8,000 bytes; an id and its comma are 37. */
const MAX_IDS = 200;
/** Who says that it follows tasks is believed for so long. Unit: ms. */
const FOLLOWED_MS = 5_000;
/** How often a node that follows tasks says so. Unit: ms. */
const FOLLOWING_MS = 2_000;

/**
 * What nodes whisper to each other so that nobody has to wait for a poll. Nothing depends on a hint: each may be lost, come twice or be
 * about nothing. Of events only is spoken while somebody says that it follows any.
 */
export class Hints {
  private readonly cancels = new Set<TaskId>();
  private readonly events = new Set<TaskId>();
  private hasWork = false;
  private isFollowing = false;
  private timer: Timer | undefined;
  private followedUntil = 0;
  private toldFollowingAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly clock: Clock,
    private readonly send: HintSender,
    private readonly isOn: () => boolean,
  ) {}

  work(): void {
    this.hasWork = true;
    this.gather();
  }

  cancel(id: TaskId): void {
    this.cancels.add(id);
    this.gather();
  }

  event(id: TaskId): void {
    if (this.clock.monotonic() > this.followedUntil) return;
    this.events.add(id);
    this.gather();
  }

  /** This node follows tasks of others. Said now and then. */
  following(): void {
    if (this.clock.monotonic() - this.toldFollowingAt < FOLLOWING_MS) return;
    this.toldFollowingAt = this.clock.monotonic();
    this.isFollowing = true;
    this.gather();
  }

  received(payload: string, receiver: HintReceiver): void {
    for (const part of payload.split(';')) {
      const [kind, ids = ''] = part.split(':');
      if (kind === 'w') receiver.work();
      else if (kind === 'f') this.followedUntil = this.clock.monotonic() + FOLLOWED_MS;
      else if (kind === 'c') receiver.cancels(ids.split(',').map(taskId));
      else if (kind === 'e') receiver.events(ids.split(',').map(taskId));
    }
  }

  close(): void {
    this.timer?.cancel();
  }

  private gather(): void {
    if (!this.isOn()) return this.forget();
    this.timer ??= this.clock.after(GATHER_MS, () => void this.flush());
  }

  /** Sends what was gathered. Never rejects. */
  async flush(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    await Promise.allSettled(this.payloads().map((payload) => this.send(payload)));
  }

  private payloads(): string[] {
    const flags = [...(this.hasWork ? ['w'] : []), ...(this.isFollowing ? ['f'] : [])];
    const parts = [...idParts('c', this.cancels), ...idParts('e', this.events)];
    this.forget();
    if (parts.length === 0) return flags.length === 0 ? [] : [flags.join(';')];
    return parts.map((part, at) => (at === 0 ? [...flags, part].join(';') : part));
  }

  private forget(): void {
    this.hasWork = false;
    this.isFollowing = false;
    this.cancels.clear();
    this.events.clear();
  }
}

function idParts(kind: string, ids: ReadonlySet<TaskId>): string[] {
  const all = [...ids];
  const parts: string[] = [];
  for (let at = 0; at < all.length; at += MAX_IDS) parts.push(`${kind}:${all.slice(at, at + MAX_IDS).join(',')}`);
  return parts;
}
