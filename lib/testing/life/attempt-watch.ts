import type { ChangeFeed } from '../../contracts/change-feed.interface.js';
import type { Task } from '../../contracts/task.interface.js';
import { createdSnapshotOf, snapshotOf } from '../../domain/task-snapshot.js';
import { changed, type CreatedData, type TaskState } from '../../domain/task-state.js';
import { realMs } from '../real-time.js';

/** How an attempt ends. */
const ENDS: ReadonlySet<string> = new Set(['retry', 'complete', 'error', 'cancelled']);

/** Hears of what is made durable: which tasks were submitted, which run since when, and how attempts ended. */
export class AttemptWatch {
  readonly submitted: Task[] = [];
  /** Runs under way: since when, in real time. */
  private readonly running = new Map<string, { readonly task: Task; readonly since: number }>();
  /** Ends that nobody was told of yet, oldest first. */
  private ended: Task[] = [];
  /** As JSON: what is told of a task later has no input with it. */
  private readonly inputs = new Map<string, string>();

  follow(changes: ChangeFeed): void {
    this.running.clear();
    changes.onMade((facts) => {
      for (const { task, entry } of facts) {
        if (entry.type === 'created') this.created(task, entry.body);
        else if (entry.type === 'start') this.running.set(task.id, { task: this.shown(task), since: realMs() });
        else if (ENDS.has(entry.type) && this.running.delete(task.id)) this.ended.push(this.shown(task, resultIn(entry.body)));
      }
    });
  }

  /** The oldest end that nobody was told of; undefined: none. */
  take(): Task | undefined {
    return this.ended.shift();
  }

  forget(): void {
    this.ended = [];
  }

  /** Runs under way that began less than so much real time ago. */
  youngerThan(ms: number): number {
    const now = realMs();
    return [...this.running.values()].filter(({ since }) => now - since < ms).length;
  }

  /** For messages: `send-email 0198… (attempt 1)`. */
  describeRunning(): string {
    return [...this.running.values()].map(({ task }) => `${task.name} ${task.id} (attempt ${task.attempt})`).join(', ') || 'none';
  }

  private created(state: TaskState, body: string): void {
    const input = JSON.stringify((JSON.parse(body) as CreatedData).input);
    this.inputs.set(state.id, input);
    this.submitted.push(createdSnapshotOf(state, input));
  }

  private shown(state: TaskState, result?: string): Task {
    return snapshotOf(changed(state, { input: this.inputs.get(state.id), result }));
  }
}

function resultIn(body: string): string | undefined {
  const { result } = (body === '' ? {} : JSON.parse(body)) as { result?: unknown };
  return JSON.stringify(result);
}
