import type { FactDraft } from '../../../contracts/fact-port.interface.js';
import type { EntryType } from '../../../contracts/task-event.interface.js';
import type { CommittedFact } from '../../../contracts/task-history.interface.js';
import { type Fact, sequence } from '../../../domain/fact.js';
import { fold } from '../../../domain/fold.js';
import { changed, isEnded, type TaskState } from '../../../domain/task-state.js';
import { pendingOf } from '../../../domain/transition.js';
import type { Move, NextPlace, SeenPlace, WorkKind } from '../storage/apply-call.interface.js';
import { packed } from '../storage/packed-entries.js';

/** Drafts that were checked and numbered against a state, as the server is to make them. */
export interface PlannedMove {
  readonly move: Move;
  readonly facts: readonly Fact[];
  /** Null: pruned. */
  readonly after: TaskState | null;
  /** Size of what is sent. Unit: characters. */
  readonly weight: number;
}

/** Entries that a cancel request which nobody here knows of must not be overtaken by: the server looks once more. */
const NEEDS_NO_REQUEST: ReadonlySet<EntryType> = new Set<EntryType>(['complete', 'error', 'retry', 'recovered', 'cancel']);

/**
 * @param now of the database's clock, epoch ms. @param owner incarnation that makes the entries.
 * @returns undefined: a draft does not fit the state, so that none is made.
 */
export function plannedMove(state: TaskState, drafts: readonly FactDraft[], now: number, owner: string): PlannedMove | undefined {
  const sequenced = sequence(pendingOf(state), drafts);
  if (sequenced === undefined) return undefined;
  const at = Math.max(now, state.lastEventAt);
  let after: TaskState | null = state;
  let weight = 0;
  for (const fact of sequenced.facts) {
    fact.at = at;
    fact.owner = owner;
    weight += fact.body.length;
    after = withResult(fold(after, fact, state.home), fact);
  }
  const { facts } = sequenced;
  const move = {
    seen: seenPlace(state, facts),
    next: nextPlace(after, facts, at),
    task: after ?? state,
    entries: packed(facts.filter(isNumbered)),
  };
  return { move, facts, after, weight };
}

const RESULT_ALONE = '{"result":';

/** Runs hand their result on as text: it is cut out, not parsed and encoded again. */
const withResult = (task: TaskState | null, { type, body }: Fact): TaskState | null =>
  task !== null && type === 'complete' && body.startsWith(RESULT_ALONE)
    ? changed(task, { result: body.slice(RESULT_ALONE.length, -1) })
    : task;

/** As listeners hear of it. */
export const committedFacts = ({ facts, after, move }: PlannedMove): readonly CommittedFact[] =>
  facts.map((entry) => ({ task: after ?? move.task, entry }));

const isNumbered = (fact: Fact): fact is Fact & { readonly taskSeq: number } => fact.taskSeq !== undefined;

function seenPlace(state: TaskState, facts: readonly Fact[]): SeenPlace {
  const { fence, lastSeq } = state;
  if (state.status === 'created') return { place: 'queue', fence, lastSeq };
  if (isEnded(state.status)) {
    const { deadLetteredAt, supersededBy } = state;
    return { place: 'ended', fence, lastSeq, deadLetteredAt, supersededBy };
  }
  const uncancelled = facts.some(({ type }) => NEEDS_NO_REQUEST.has(type));
  // A mark, whatever the run reported meanwhile: a run that reports without pause could never be marked else.
  const isMark = facts.every(({ taskSeq }) => taskSeq === undefined);
  return { place: 'runs', fence, lastSeq: isMark ? null : lastSeq, ...(uncancelled ? { uncancelled } : {}) };
}

function nextPlace(after: TaskState | null, facts: readonly Fact[], at: number): NextPlace {
  if (after === null) return { place: 'gone' };
  if (after.status === 'created') return { place: 'queue', kind: workKindOf(after), dueAt: dueAt(after, at) };
  if (after.status !== 'running') return { place: 'ended' };
  const progressSeq = facts.filter(({ type }) => type === 'progress').at(-1)?.taskSeq;
  const isRequested = facts.some(({ type }) => type === 'cancel');
  return {
    place: 'runs',
    ...(progressSeq === undefined ? {} : { progressSeq }),
    ...(isRequested ? { cancelRequest: after.cancelRequest! } : {}),
  };
}

/** Tasks whose process died run a few at a time; those that crashed repeatedly alone. */
export const workKindOf = ({ resume, recoveries }: TaskState): WorkKind =>
  recoveries >= 2 ? 2 : resume === 'crash' || resume === 'stale' ? 1 : 0;

/** A duration is counted from the entry, on the database's clock, whatever the clock of the node that asked for it says. */
const dueAt = ({ retryDelayMs }: TaskState, at: number): number | null =>
  retryDelayMs === null || retryDelayMs === 0 ? null : at + retryDelayMs;
