import type { TaskId } from '../contracts/ids.js';
import type { TaskErrorInfo, TaskStatus, TaskType } from '../contracts/task.interface.js';
import type { CreatedData, TaskState } from './task-state.js';

const NO_TAGS: readonly string[] = Object.freeze([]);

/**
 * A task of which nothing is known but its `created` entry, without its input: what memory holds of every task that waits. All else is
 * at its beginning, or in the entry's data, which submits of one handler share: a fifth of what all members take. Read it as any other
 * state; take a copy with `copyOf`, as a spread would see its few own members only.
 */
export class FreshTask implements TaskState {
  constructor(
    readonly id: TaskId,
    readonly home: string,
    readonly createdAt: number,
    readonly owner: string,
    private readonly data: CreatedData,
  ) {}

  get name(): string {
    return this.data.name;
  }
  get key(): string | null {
    return this.data.key ?? null;
  }
  get userId(): string | null {
    return this.data.userId ?? null;
  }
  get type(): TaskType {
    return this.data.type ?? 'user';
  }
  get status(): TaskStatus {
    return 'created';
  }
  get priority(): number {
    return this.data.priority ?? 0;
  }
  get tags(): readonly string[] {
    return this.data.tags ?? NO_TAGS;
  }
  get inputHash(): string | null {
    return this.data.inputHash ?? null;
  }
  get supersededBy(): null {
    return null;
  }
  get keyBase(): number {
    return this.data.keyBase ?? 0;
  }
  get traceparent(): string | null {
    return this.data.traceparent ?? null;
  }
  get attempt(): number {
    return 1;
  }
  get maxAttempts(): number {
    return this.data.maxAttempts;
  }
  get failures(): number {
    return 0;
  }
  get fence(): number {
    return 0;
  }
  get life(): number {
    return 1;
  }
  get recoveries(): number {
    return 0;
  }
  get postponements(): number {
    return 0;
  }
  get timeoutMs(): number {
    return this.data.timeoutMs;
  }
  get cancelRequest(): null {
    return null;
  }
  get lastSeq(): number {
    return 1;
  }
  get runAt(): number {
    return this.data.runAt ?? this.createdAt;
  }
  get expiresAt(): number | null {
    return this.data.expiresAt ?? null;
  }
  get retryDelayMs(): number | null {
    return this.data.delayMs ?? null;
  }
  get resume(): null {
    return null;
  }
  get startedAt(): null {
    return null;
  }
  get completedAt(): null {
    return null;
  }
  get lastHeartbeatAt(): null {
    return null;
  }
  get lastEventAt(): number {
    return this.createdAt;
  }
  get deadLetteredAt(): null {
    return null;
  }
  get error(): TaskErrorInfo | null {
    return null;
  }
  get progress(): undefined {
    return undefined;
  }
  get input(): undefined {
    return undefined;
  }
  get result(): undefined {
    return undefined;
  }
}
