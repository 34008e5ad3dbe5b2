import type { Clock, Timer } from '../contracts/clock.interface.js';
import type { TaskId } from '../contracts/ids.js';
import type { ChangeFeed } from '../contracts/change-feed.interface.js';
import type { CommittedFact, TaskHistory } from '../contracts/task-history.interface.js';
import type { TaskState } from '../domain/task-state.js';
import { type ChannelCut, type ChannelOptions, TaskChannel } from './task-channel.js';

export interface ChannelRegistryOptions extends ChannelOptions {
  /** How long a channel that nobody listens to is kept for those who come back. */
  readonly retentionMs: number;
  /** Such channels, at most: the one idle for longest goes first. */
  readonly maxIdle: number;
}

/** The channels of the tasks that are listened to, or were a moment ago. */
export class ChannelRegistry {
  private readonly channels = new Map<TaskId, TaskChannel>();
  /** Users of each channel, those included that are still opening. */
  private readonly users = new Map<TaskChannel, number>();
  /** In the order in which they fell idle, with the monotonic ms at which each is let go. */
  private readonly idle = new Map<TaskChannel, number>();
  /** For the first of them. */
  private sweep: Timer | undefined;
  private cutBy: ChannelCut | undefined;

  constructor(
    private readonly options: ChannelRegistryOptions,
    private readonly clock: Clock,
    private readonly history: TaskHistory,
    private readonly feed: ChangeFeed,
  ) {}

  /** Each call is answered by one `release`. */
  acquire(task: TaskState): TaskChannel {
    const channel = this.channels.get(task.id) ?? this.create(task);
    this.users.set(channel, (this.users.get(channel) ?? 0) + 1);
    this.idle.delete(channel);
    this.watch(channel, task);
    return channel;
  }

  release(channel: TaskChannel): void {
    const left = (this.users.get(channel) ?? 1) - 1;
    if (left > 0) {
      this.users.set(channel, left);
      return;
    }
    this.users.delete(channel);
    channel.unwatch();
    if (this.options.retentionMs === 0 || this.cutBy !== undefined) this.channels.delete(channel.id);
    else this.rest(channel);
  }

  /** Facts of one frame, in log order. Every channel sees the whole frame before any reader does. */
  committed(facts: readonly CommittedFact[]): void {
    if (this.channels.size === 0) return;
    let first: TaskChannel | undefined;
    let others: Set<TaskChannel> | undefined;
    for (const fact of facts) {
      const channel = this.channels.get(fact.task.id);
      if (channel === undefined) continue;
      channel.apply(fact);
      if (first === undefined) first = channel;
      else if (channel !== first) (others ??= new Set()).add(channel);
    }
    first?.wake();
    if (others !== undefined) for (const channel of others) channel.wake();
  }

  /** From now on nothing more will come, for present readers and for later ones. */
  cutOff(reason: ChannelCut): void {
    this.cutBy = reason;
    this.sweep?.cancel();
    for (const channel of this.channels.values()) channel.unwatch();
    for (const channel of this.idle.keys()) this.channels.delete(channel.id);
    this.idle.clear();
    for (const channel of this.channels.values()) channel.cutOff(reason);
  }

  private create(task: TaskState): TaskChannel {
    const channel = new TaskChannel(task, this.options, this.history);
    if (this.cutBy !== undefined) channel.cutOff(this.cutBy);
    this.channels.set(task.id, channel);
    return channel;
  }

  private rest(channel: TaskChannel): void {
    const { retentionMs } = this.options;
    this.idle.set(channel, this.clock.monotonic() + retentionMs);
    if (this.sweep === undefined) this.sweepIn(retentionMs);
    if (this.idle.size <= this.options.maxIdle) return;
    const [longest] = this.idle.keys();
    if (longest !== undefined) this.drop(longest);
  }

  private sweepIn(delayMs: number): void {
    this.sweep = this.clock.after(delayMs, () => this.dropDue());
  }

  private dropDue(): void {
    this.sweep = undefined;
    const now = this.clock.monotonic();
    for (const [channel, dueAt] of this.idle) {
      if (dueAt > now) return this.sweepIn(dueAt - now);
      this.drop(channel);
    }
  }

  private drop(channel: TaskChannel): void {
    this.idle.delete(channel);
    this.channels.delete(channel.id);
  }

  /** The channel is told of every fact from here on; what it missed before, its first reader asks for. */
  private watch(channel: TaskChannel, task: TaskState): void {
    channel.learn(task);
    if (this.cutBy === undefined && !channel.isWatched) channel.watchedBy(this.feed.watch(task));
  }
}
