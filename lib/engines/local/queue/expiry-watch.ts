import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../../../contracts/clock.interface.js';
import type { TaskId } from '../../../contracts/ids.js';
import type { Telemetry } from '../../../contracts/telemetry.interface.js';
import type { TaskState } from '../../../domain/task-state.js';
import { isFactRefused } from '../../../errors/fact-refused.js';
import { IndexedHeap } from '../../../primitives/heap.js';
import { InterruptibleLoop } from '../../../primitives/interruptible-loop.js';
import { expiredDraft, mayExpire } from '../../../domain/expiry.js';
import type { ResidentFacts } from './resident-facts.interface.js';

/** A million codes that expire at midnight must not stop the event loop. */
const MAX_PER_TURN = 1_000;

export interface ExpiryParts {
  readonly clock: Clock;
  readonly logger: LoggerService;
  /** How often times are looked at. Unit: ms. */
  readonly tickIntervalMs: number;
  readonly facts: ResidentFacts;
  readonly telemetry: Telemetry;
}

interface Waiting {
  readonly id: TaskId;
  readonly expiresAt: number;
  place: number;
}

/**
 * Tasks that wait, for whatever it is, and are worthless after a time: it ends them then. Memory is needed for tasks with an expiry only;
 * nothing ticks while there is none. That no task starts after its time is up to the dispatcher: this watch is late by up to a tick.
 */
export class ExpiryWatch {
  /** Tasks that it ended. */
  count = 0;
  private readonly byTask = new Map<TaskId, number>();
  private readonly slots: (Waiting | undefined)[] = [];
  private readonly free: number[] = [];
  private readonly heap: IndexedHeap;
  private readonly loop: InterruptibleLoop;
  private isStopped = false;

  /** @param takeOut has a task wait no longer. */
  constructor(
    private readonly parts: ExpiryParts,
    private readonly takeOut: (id: TaskId) => void,
  ) {
    const { clock, logger, tickIntervalMs } = parts;
    this.heap = new IndexedHeap(
      (a, b) => this.slots[a]!.expiresAt < this.slots[b]!.expiresAt,
      (slot, position) => void (this.slots[slot]!.place = position),
    );
    this.loop = new InterruptibleLoop(clock, {
      intervalMs: tickIntervalMs,
      turn: () => this.turn(),
      onError: (error) => logger.error('Expired tasks could not be looked at.', error),
    });
  }

  add(task: TaskState): void {
    if (!mayExpire(task) || this.isStopped) return;
    this.put(task.id, task.expiresAt!);
  }

  /** It started, or ended otherwise. */
  forget(id: TaskId): void {
    const slot = this.byTask.size === 0 ? undefined : this.byTask.get(id);
    if (slot === undefined) return;
    this.heap.removeAt(this.slots[slot]!.place);
    this.drop(slot);
  }

  /** It has ended for want of a start in time. */
  ended(task: TaskState): void {
    this.takeOut(task.id);
    this.count += 1;
    const what = `Task ${task.name} (${task.id}) failed: it had not started when it expired.`;
    this.parts.logger.error(`${what} It is not run, unless by tasks.retry().`);
    this.parts.telemetry.count('taskflow.tasks.failed', 1, { 'taskflow.task.name': task.name });
  }

  /** The next process ends what is left. A turn under way is not waited for: the disk may not answer. */
  stop(): void {
    this.isStopped = true;
    void this.loop.stop();
  }

  private put(id: TaskId, expiresAt: number): void {
    this.forget(id);
    const slot = this.free.pop() ?? this.slots.length;
    this.slots[slot] = { id, expiresAt, place: 0 };
    this.byTask.set(id, slot);
    this.heap.push(slot);
    this.loop.start();
  }

  private async turn(): Promise<void> {
    const now = this.parts.clock.now();
    const due: Waiting[] = [];
    for (let slot = this.heap.peek(); slot !== undefined && due.length < MAX_PER_TURN; slot = this.heap.peek()) {
      const waiting = this.slots[slot]!;
      if (waiting.expiresAt > now) break;
      this.heap.pop();
      this.drop(slot);
      due.push(waiting);
    }
    await Promise.all(due.map((waiting) => this.expire(waiting)));
    if (this.byTask.size === 0) void this.loop.stop();
  }

  private async expire({ id, expiresAt }: Waiting): Promise<void> {
    try {
      const outcome = await this.parts.facts.append([expiredDraft(id, expiresAt)]);
      if (outcome.kind === 'applied') this.ended(outcome.task);
    } catch (error) {
      // No room, or a database that does not answer: the next turn tries again. Only a log that takes nothing more ends it here.
      if (!this.isStopped && !(isFactRefused(error) && error.refusal === 'never')) this.put(id, expiresAt);
    }
  }

  private drop(slot: number): void {
    this.byTask.delete(this.slots[slot]!.id);
    this.slots[slot] = undefined;
    this.free.push(slot);
  }
}
