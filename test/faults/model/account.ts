import type { StoredEvent, TaskEvent } from '../../../lib/contracts/task-event.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { isTerminal } from '../../../lib/domain/entry-types.js';
import type { Submit } from './steps.js';

/** Times of this size lie this far apart in a double: a sum of two of them may be off by one step. */
const EPOCH_STEP_MS = 2 ** -12;

/** What the model knows of a task that was acknowledged. */
export interface Known {
  readonly id: Task['id'];
  /** As it was submitted first. */
  readonly submit: Submit;
  readonly runAt: number;
  /** Every event that anybody was shown, by seq. */
  readonly shown: Map<number, string>;
  /** A sweep came after its time: it may be gone. */
  isPrunable: boolean;
}

/** What every cancel of a task says, so that its end can be held against it. */
export const reasonOf = (id: string): string => `asked for ${id}`;

export const keyOf = (submit: Submit): string => `${submit.user}/${submit.key}`;

/** The plain side of the model: what the system promised so far, and everything that breaks a promise. */
export class Account {
  readonly known = new Map<string, Known>();
  readonly faults: string[] = [];
  private readonly holders = new Map<string, string>();
  /** Inputs that a key was ever tried with: a submit whose answer a crash took may have been made. */
  private readonly tried = new Map<string, Set<number>>();

  /** The task that a submit must be answered with, if it is answered. */
  holderOf(submit: Submit): Known | undefined {
    const id = submit.key === null ? undefined : this.holders.get(keyOf(submit));
    const holder = id === undefined ? undefined : this.known.get(id);
    return holder?.isPrunable === true ? undefined : holder;
  }

  tries(submit: Submit): void {
    if (submit.key === null) return;
    const inputs = this.tried.get(keyOf(submit)) ?? new Set();
    this.tried.set(keyOf(submit), inputs.add(submit.input));
  }

  /** Whether a conflict can be the truth: somebody used this key with another input. */
  mayConflict(submit: Submit): boolean {
    return [...(this.tried.get(keyOf(submit)) ?? [])].some((input) => input !== submit.input);
  }

  acknowledge(submit: Submit, task: Task): Known {
    const holder = this.holderOf(submit);
    if (holder !== undefined && holder.id !== task.id) this.faults.push(`the key of ${holder.id} was given to ${task.id}`);
    if (submit.key !== null) this.holders.set(keyOf(submit), task.id);
    const known = this.known.get(task.id) ?? { id: task.id, submit, runAt: task.runAt.getTime(), shown: new Map(), isPrunable: false };
    if (known.submit.input !== submit.input) this.faults.push(`${task.id} was given for another input`);
    if (known.submit.key !== submit.key || known.submit.user !== submit.user) this.faults.push(`${task.id} was given for another key`);
    this.known.set(task.id, known);
    return known;
  }

  /** One seq is one event, whoever looks at it and when. */
  show(known: Known, event: TaskEvent): void {
    const { seq } = event as Partial<StoredEvent>;
    if (seq === undefined) return;
    const text = JSON.stringify(event);
    const before = known.shown.get(seq);
    if (before !== undefined && before !== text) this.faults.push(`${known.id}: ${seq} was ${before} and became ${text}`);
    known.shown.set(seq, text);
  }

  /** The whole history of a task, held against the states that a task may be in. */
  checkHistory(known: Known, lastSeq: number, lives: number): void {
    let state = 'none';
    let ends = 0;
    let dueAt = 0;
    for (let seq = 1; seq <= lastSeq; seq++) {
      const text = known.shown.get(seq);
      if (text === undefined) return void this.faults.push(`${known.id}: ${seq} is nowhere`);
      const { type, payload, timestamp } = JSON.parse(text) as TaskEvent<{ reason?: string; runAt?: number }>;
      const next = after(state, type, payload?.reason);
      if (next === undefined) return void this.faults.push(`${known.id}: ${seq} ${type} came to a task that was ${state}`);
      state = next;
      if (type === 'start' && timestamp + EPOCH_STEP_MS < dueAt)
        this.faults.push(`${known.id}: ${seq} start came ${dueAt - timestamp} ms too early`);
      if (type === 'retry' || type === 'recovered') dueAt = payload?.runAt ?? 0;
      if (isTerminal(type)) ends++;
      if (type === 'cancelled' && payload?.reason !== reasonOf(known.id))
        this.faults.push(`${known.id} was cancelled for "${payload?.reason}"`);
    }
    if (known.shown.size !== lastSeq) this.faults.push(`${known.id} showed ${known.shown.size} events, and has ${lastSeq}`);
    if (state !== 'ended' && state !== 'failed') this.faults.push(`${known.id} did not end: it is ${state}`);
    if (ends !== lives) this.faults.push(`${known.id} ended ${ends} times in ${lives} lives`);
  }
}

/** The states of a task as the design names them; undefined: there is no such way. */
function after(state: string, type: TaskEvent['type'], reason: string | undefined): string | undefined {
  switch (type) {
    case 'created':
      return state === 'none' ? 'created' : undefined;
    case 'start':
      return state === 'created' ? 'running' : undefined;
    case 'progress':
    case 'custom':
      return state === 'running' ? 'running' : undefined;
    case 'retry':
      return state === (reason === 'manual' ? 'failed' : 'running') ? 'created' : undefined;
    case 'recovered':
      return state === 'running' ? 'created' : undefined;
    case 'complete':
      return state === 'running' ? 'ended' : undefined;
    case 'error':
      return state === 'running' ? 'failed' : undefined;
    case 'cancelled':
      return state === 'running' || state === 'created' ? 'ended' : undefined;
    default:
      return undefined;
  }
}
