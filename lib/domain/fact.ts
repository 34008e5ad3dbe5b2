import type { LogDraft } from '../contracts/event-log.interface.js';
import type { FactDraft } from '../contracts/fact-port.interface.js';
import type { TaskId } from '../contracts/ids.js';
import type { EntryData } from '../contracts/log-entry.interface.js';
import type { EntryType } from '../contracts/task-event.interface.js';
import type { StoredEntry } from '../contracts/task-history.interface.js';
import { isControl } from './entry-types.js';
import type { FoldableEntry } from './task-state.js';
import { admits, advance, type PendingHead } from './transition.js';

const NOTHING: EntryData = Object.freeze({});

/** A draft with the numbers of its task, and once it is durable with its time: what the log writes, the fold reads, and streams keep. */
export class Fact implements LogDraft, FoldableEntry, StoredEntry {
  at = 0;
  owner = '';

  constructor(
    readonly type: EntryType,
    readonly taskId: TaskId,
    readonly taskSeq: number | undefined,
    readonly attempt: number,
    readonly fence: number,
    readonly body: string,
    readonly data: EntryData,
  ) {}
}

export interface Sequenced {
  readonly facts: readonly Fact[];
  /** What the next draft is checked against. */
  readonly after: PendingHead | null;
}

/** Checks drafts one after the other, and gives them the numbers of the task. Undefined: the first one that does not fit refuses all. */
export function sequence(newest: PendingHead | null, drafts: readonly FactDraft[]): Sequenced | undefined {
  // Nearly always one: a literal, as an array that grew by push has room for 17.
  if (drafts.length === 1) {
    const draft = drafts[0]!;
    if (!admits(newest, draft)) return undefined;
    const after = advance(newest, draft);
    return { facts: [factOf(draft, newest?.attempt ?? 1, after, newest)], after };
  }
  const facts: Fact[] = [];
  let after = newest;
  for (const draft of drafts) {
    if (!admits(after, draft)) return undefined;
    const attempt = after?.attempt ?? 1;
    after = advance(after, draft);
    facts.push(factOf(draft, attempt, after, newest));
  }
  return { facts, after };
}

function factOf(draft: FactDraft, attempt: number, after: PendingHead | null, newest: PendingHead | null): Fact {
  const data = draft.data ?? NOTHING;
  return new Fact(
    draft.type,
    draft.taskId,
    isControl(draft.type) ? undefined : after!.lastSeq,
    draft.type === 'retry' && data['reason'] === 'manual' ? 1 : attempt,
    after?.fence ?? newest?.fence ?? 0,
    draft.body ?? (draft.data === undefined ? '' : JSON.stringify(data)),
    data,
  );
}
