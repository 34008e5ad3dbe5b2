import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FactDraft } from '../../../lib/contracts/fact-port.interface.js';
import type { EventLogEntry } from '../../../lib/contracts/task-repository.interface.js';
import type { EntryType } from '../../../lib/contracts/task-event.interface.js';
import { idempotencyKey, taskId, taskName, userId } from '../../../lib/contracts/ids.js';
import type { LogEntry } from '../../../lib/contracts/log-entry.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { isControl } from '../../../lib/domain/entry-types.js';
import { cancelDataOf, fold, FoldGapError, foldOverHole } from '../../../lib/domain/fold.js';
import { applyEntry, stateOf, toStoredEvent } from '../../../lib/domain/task-snapshot.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import { admits, advance, type PendingHead, pendingOf } from '../../../lib/domain/transition.js';
import { BatchProjection } from '../../../lib/engines/local/storage/batch-projection.js';
import { SEED } from '../../support/clock/seed.js';

const ID = taskId('01890000-0000-7000-8000-000000000001');
const HOME = 'home';
const error = { name: 'Error', message: 'no', retryable: true };

const CHANGES: readonly Omit<FactDraft, 'taskId'>[] = [
  { type: 'start' },
  { type: 'progress', data: { payload: { n: 1 } } },
  { type: 'custom', data: { eventName: 'row', payload: 1 } },
  { type: 'retry', data: { reason: 'failed', runAt: 5, delayMs: 5, error } },
  { type: 'retry', data: { reason: 'shutdown', runAt: 5, delayMs: 0 } },
  { type: 'retry', data: { reason: 'later', runAt: 5, delayMs: 5, error } },
  { type: 'retry', data: { reason: 'manual', runAt: 5, delayMs: 0 } },
  { type: 'recovered', data: { reason: 'crash', recoveries: 2 } },
  { type: 'complete', data: { result: { ok: true } } },
  { type: 'error', data: { error } },
  { type: 'cancelled', data: {} },
  { type: 'heartbeat' },
  { type: 'cancel', data: { reason: 'enough' } },
  { type: 'dlq-removed' },
  { type: 'dlq-removed', data: { supersededBy: 'the next one' } },
  { type: 'adopted' },
  { type: 'pruned' },
];

/** A history that the gate lets through: what it refuses is left out. */
function historyOf(choices: readonly number[]): LogEntry[] {
  const created: FactDraft = {
    type: 'created',
    taskId: ID,
    data: { name: 'work', userId: 'ann', key: 'k', maxAttempts: 3, timeoutMs: 10, input: { a: null } },
  };
  const entries: LogEntry[] = [];
  let head: PendingHead | null = null;
  for (const draft of [created, ...choices.map((choice): FactDraft => ({ ...CHANGES[choice % CHANGES.length]!, taskId: ID }))]) {
    if (!admits(head, draft)) continue;
    const attempt: number = head?.attempt ?? 1;
    const fence: number = head?.fence ?? 0;
    head = advance(head, draft);
    const seq = entries.length + 1;
    entries.push({
      seq,
      type: draft.type,
      taskId: ID,
      ...(isControl(draft.type) ? {} : { taskSeq: head!.lastSeq }),
      at: 1_000 + seq,
      attempt,
      fence: head?.fence ?? fence,
      owner: 'o',
      data: draft.data ?? {},
    });
    if (head === null) break; // pruned: ids are never used again
  }
  return entries;
}

const histories = fc.array(fc.nat(CHANGES.length - 1), { maxLength: 40 }).map(historyOf);
const foldAll = (entries: readonly LogEntry[], from: TaskState | null = null): TaskState | null =>
  entries.reduce<TaskState | null>((state, entry) => fold(state, entry, HOME), from);
const check = <T>(property: fc.IProperty<T>): void => fc.assert(property, { seed: SEED, numRuns: 500 });

describe(`the fold (seed ${SEED})`, () => {
  it('agrees with the gate that let the entries through', () => {
    check(
      fc.property(histories, (entries) => {
        let head: PendingHead | null = null;
        let state: TaskState | null = null;
        for (const entry of entries) {
          head = advance(head, { type: entry.type, taskId: ID, data: entry.data });
          state = fold(state, entry, HOME);
          // When a request became durable, the gate cannot know.
          const seen = state === null ? null : pendingOf(state);
          expect(seen && { ...seen, cancelRequest: seen.cancelRequest && cancelDataOf(seen.cancelRequest) }).toEqual(head);
        }
      }),
    );
  });

  it('changes nothing when any stretch up to its end is replayed, as long as the task is there', () => {
    check(
      fc.property(histories, fc.nat(), fc.nat(), (entries, a, b) => {
        const alive = entries.filter((entry) => entry.type !== 'pruned');
        const end = alive.length === 0 ? 0 : (a % alive.length) + 1;
        const begin = b % Math.max(1, end);
        const state = foldAll(alive.slice(0, end));
        expect(foldAll(alive.slice(begin, end), state)).toEqual(state);
      }),
    );
  });

  it('goes on over whatever a repair lost: sequence, fence and outcome are those of the last entry that is there', () => {
    let holes = 0;
    check(
      fc.property(histories, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (entries, isLost) => {
        const alive = entries.filter((entry) => entry.type !== 'pruned');
        const kept = alive.filter((_, at) => at === 0 || !isLost[at]);
        const last = kept.at(-1)!;
        const whole = foldAll(alive.slice(0, alive.indexOf(last) + 1))!;
        const state = kept.reduce<TaskState | null>((before, entry) => foldOverHole(before, entry, HOME), null)!;
        if (kept.length === alive.length) expect(state).toEqual(whole);
        if (isControl(last.type)) return;
        holes += 1;
        expect([last.type, state.lastSeq, state.fence]).toEqual([last.type, whole.lastSeq, whole.fence]);
        // What is behind the last `start` or `progress` says that the task runs; every other entry says its state by itself.
        expect([last.type, state.status]).toEqual([last.type, whole.status]);
        expect(state.attempt).toBeGreaterThanOrEqual(Math.min(whole.attempt, last.attempt));
      }),
    );
    expect(holes).toBeGreaterThan(100);
  });

  it('knows nothing of a task whose first entry is lost', () => {
    const [, ...later] = historyOf([0, 1, 8]);
    expect(later.reduce<TaskState | null>((before, entry) => foldOverHole(before, entry, HOME), null)).toBeNull();
  });

  it('gives the same rows and events however the entries are cut into batches', () => {
    check(
      fc.property(histories, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (entries, sizes) => {
        let row: { state: TaskState; keyHash: string | null } | undefined;
        const events: number[] = [];
        for (let at = 0, turn = 0; at < entries.length; turn++) {
          const size = sizes[turn % sizes.length]!;
          const tasks = new Map(row === undefined ? [] : [[ID as string, row]]);
          const projection = new BatchProjection(HOME, { tasks, keyHolders: new Map() }).project(entries.slice(at, at + size));
          expect(projection.poisoned.size).toBe(0);
          if (projection.deleted.length > 0) {
            row = undefined;
            events.length = 0;
          }
          row = projection.tasks[0] ?? row;
          events.push(...projection.events.map((entry) => entry.taskSeq!));
          at += size;
        }
        const whole = foldAll(entries);
        expect(row?.state ?? null).toEqual(whole);
        expect(events).toEqual(whole === null ? [] : Array.from({ length: whole.lastSeq }, (_, index) => index + 1));
      }),
    );
  });

  it('never changes what it was given', () => {
    check(
      fc.property(histories, (entries) => {
        let state: TaskState | null = null;
        for (const entry of entries) {
          state = fold(state === null ? null : Object.freeze(state), Object.freeze(entry), HOME);
        }
      }),
    );
  });

  it('refuses a hole and ignores a replay', () => {
    const [created, start, progress] = historyOf([0, 1]);
    const state = foldAll([created!]);
    expect(() => fold(state, progress!, HOME)).toThrow(FoldGapError);
    expect(() => fold(null, start!, HOME)).toThrow(FoldGapError);
    expect(fold(state, created!, HOME)).toBe(state);
  });

  it('ignores a cancel request that is replayed onto the life after the one it was made in', () => {
    // start, error, retry by hand; the gate lets no error follow a cancel, and logs of before that rule have it
    const [created, start, ...rest] = historyOf([0, 9, 6]);
    const { taskSeq: _none, ...cancel } = { ...start!, type: 'cancel' as const };
    const entries = [created!, start!, cancel, ...rest];
    const state = foldAll(entries)!;
    expect(state).toMatchObject({ status: 'created', life: 2, fence: cancel.fence, cancelRequest: null });
    expect(foldAll([created!, start!, cancel])).toMatchObject({ cancelRequest: { at: cancel.at } });
    expect(foldAll(entries, state)).toBe(state);
  });

  it('ignores a control entry of an older run, of every kind', () => {
    const [created, start] = historyOf([0]);
    const state = foldAll([created!, start!])!;
    expect(state.fence).toBe(1);
    for (const type of ['heartbeat', 'cancel', 'pruned', 'dlq-removed', 'adopted'] as const) {
      const { taskSeq: _none, ...late } = { ...start!, type, fence: 0, at: start!.at + 1 };
      expect([type, fold(state, late, 'another home')]).toEqual([type, state]);
    }
  });
});

const asEntry = ({ at, owner, ...entry }: LogEntry): EventLogEntry => ({
  ...entry,
  name: taskName('work'),
  userId: userId('ann'),
  scopedKey: idempotencyKey('u3:ann:k'),
  ownerId: owner,
  timestamp: at,
});

describe(`applyEntry and toStoredEvent (seed ${SEED})`, () => {
  it('keep a task as the fold does, and number its events without a gap', () => {
    check(
      fc.property(histories, (entries) => {
        let task: Task | null = null;
        let state: TaskState | null = null;
        const seqs: number[] = [];
        for (const entry of entries) {
          state = fold(state, entry, '');
          task = applyEntry(task, asEntry(entry));
          const event = toStoredEvent(asEntry(entry));
          expect(event === null).toBe(isControl(entry.type));
          if (event !== null) seqs.push(event.seq);
        }
        expect(seqs).toEqual(seqs.map((_, at) => at + 1));
        if (state === null) expect(task).toBeNull();
        else {
          const hidden = { inputHash: null, retryDelayMs: null, resume: null, lastEventAt: 0, owner: '', failures: 0, traceparent: null };
          expect({ ...stateOf(task!, ''), ...hidden }).toEqual({ ...state, ...hidden, home: '' });
        }
      }),
    );
  });

  it('give the very same task for a replay, and nothing for a control entry of a task that is not there', () => {
    const [created, start] = historyOf([0]).map(asEntry);
    const task = applyEntry(applyEntry(null, created!), start!);
    expect(applyEntry(task, created!)).toBe(task);
    for (const type of ['heartbeat', 'cancel', 'pruned', 'dlq-removed'] as EntryType[]) {
      const { taskSeq: _none, ...control } = { ...start!, type };
      expect(applyEntry(null, control)).toBeNull();
      expect(toStoredEvent(control)).toBeNull();
      expect(applyEntry(task, { ...control, fence: 0 })).toBe(task);
    }
  });
});
