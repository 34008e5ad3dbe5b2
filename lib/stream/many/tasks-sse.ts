import type { MessageEvent } from '@nestjs/common';
import type { Subscriber } from 'rxjs';
import type { Clock } from '../../contracts/clock.interface.js';
import type { TaskState } from '../../domain/task-state.js';
import { messageNumberOf } from '../../domain/stream-cursors.js';
import { NotFoundError } from '../../errors/request.errors.js';
import { StreamOverflowError } from '../../errors/stream.errors.js';
import type { ShapedEntry } from '../shaped-entry.js';
import { SseResponse, type SseResponseOptions } from '../sse-response.js';
import type { FollowedTasks } from './followed-tasks.js';
import type { Member } from './member.js';
import { MemberPump } from './member-pump.js';

export interface TasksSseOptions extends SseResponseOptions {
  /** What was named and does not exist, as it was named. */
  readonly missing: readonly string[];
  /** The newest state, without its bodies; null: it is gone. */
  load(member: Member): Promise<TaskState | null>;
  /** A task as clients may see it. */
  snapshot(task: TaskState): unknown;
}

/** The messages of many tasks. */
export class TasksSse extends SseResponse<FollowedTasks> {
  position = 0;
  readonly startId: string;
  private id: string;

  constructor(
    private readonly tasks: FollowedTasks,
    clock: Clock,
    protected override readonly options: TasksSseOptions,
  ) {
    super(tasks, clock, options);
    this.startId = this.id = tasks.text(0);
  }

  numberOf(id: string): number | undefined {
    return messageNumberOf(id);
  }

  protected lastId(): string {
    return this.id;
  }

  /** It is taken once: whoever subscribes again is asked to come back. */
  protected reopen(): Promise<FollowedTasks> {
    return Promise.reject(new NotFoundError());
  }

  protected pump(tasks: FollowedTasks, subscriber: Subscriber<MessageEvent>): void {
    const pump = new MemberPump(
      {
        isFull: () => !this.isFlowing,
        next: (member, entry) => this.show(subscriber, member, entry),
        ended: (member) => {
          tasks.leave(member);
          this.completeIfOver(subscriber);
        },
        cut: () => this.comeBack(subscriber),
        failed: (member, error) => void this.failed(subscriber, member, error),
      },
      this.clock,
    );
    tasks.listener = {
      opened: (member) => pump.add(member),
      missing: (id) => {
        this.send(subscriber, 'missing', { taskId: id });
        this.completeIfOver(subscriber);
      },
      broken: () => this.comeBack(subscriber),
    };
    this.onFlowing = () => pump.resume();
    subscriber.add(() => {
      pump.close();
      tasks.close();
    });
    for (const taskId of this.options.missing) this.send(subscriber, 'missing', { taskId });
    for (const member of tasks.members.values()) if (member.cursor !== undefined) pump.add(member);
    this.completeIfOver(subscriber);
  }

  private show(subscriber: Subscriber<MessageEvent>, member: Member, entry: ShapedEntry): void {
    member.at = entry.seq ?? member.at;
    const { type, data } = entry.message;
    this.next(subscriber, type!, data as string);
  }

  private send(subscriber: Subscriber<MessageEvent>, type: string, data: object): void {
    this.next(subscriber, type, JSON.stringify(data));
  }

  private next(subscriber: Subscriber<MessageEvent>, type: string, data: string): void {
    if (subscriber.closed) return;
    this.position += 1;
    this.id = this.tasks.text(this.position);
    subscriber.next({ id: this.id, type, data });
  }

  private completeIfOver(subscriber: Subscriber<MessageEvent>): void {
    if (this.tasks.isNamed && !this.tasks.hasFollowed) subscriber.complete();
  }

  /** History that is gone is told, with what the task is now, and it goes on from there. For anything else the client comes back. */
  private async failed(subscriber: Subscriber<MessageEvent>, member: Member, error: unknown): Promise<void> {
    try {
      if (!StreamOverflowError.is(error) && !NotFoundError.is(error)) throw error;
      const task = StreamOverflowError.is(error) ? await this.options.load(member) : null;
      if (subscriber.closed) return;
      if (task === null) {
        this.tasks.forget(member);
        this.send(subscriber, 'missing', { taskId: member.id });
        return this.completeIfOver(subscriber);
      }
      const { firstAvailableSeq } = error as StreamOverflowError;
      member.at = firstAvailableSeq - 1;
      this.send(subscriber, 'gap', { taskId: member.id, firstAvailableSeq, task: this.options.snapshot(task) });
      this.tasks.reopen(member, task);
    } catch {
      if (!subscriber.closed) this.comeBack(subscriber);
    }
  }
}
