import type { EntryData } from '../../../contracts/log-entry.interface.js';
import type { IdSource } from '../../../contracts/clock.interface.js';
import { taskId } from '../../../contracts/ids.js';
import type { Submission } from '../../../contracts/submission.interface.js';
import type { CommittedFact } from '../../../contracts/task-history.interface.js';
import { CreatedEntries } from '../../../domain/created-entries.js';
import { fold } from '../../../domain/fold.js';
import { changed, type TaskState } from '../../../domain/task-state.js';
import { CLUSTER_HOME } from '../storage/submit-encoding.js';
import type { NewTask, SubmitOutcome } from '../storage/submit-call.interface.js';

export type Created = Extract<SubmitOutcome, { kind: 'created' }>;

/** A submission as the server takes it, with what its `created` entry says. */
export interface PreparedTask {
  readonly row: NewTask;
  readonly data: EntryData;
}

/** From submissions to rows, and from the server's answer to the task that was created. */
export class NewTasks {
  private readonly entries = new CreatedEntries();
  /** Submits that differ in their input alone share their data, and its text. */
  private readonly texts = new WeakMap<EntryData, string>();

  constructor(
    private readonly ids: IdSource,
    private readonly traceparent: () => string | undefined,
  ) {}

  prepare({ handler, request, input, key, inputHash }: Submission, replaced: TaskState | null): PreparedTask {
    const id = taskId(this.ids.uuid());
    const traceparent = this.traceparent();
    const keyBase = replaced === null ? 0 : replaced.keyBase + replaced.lastSeq + 1;
    const draft = this.entries.draft(id, { handler, request, key, inputHash, keyBase, traceparent }, input);
    const data = draft.data!;
    const row: NewTask = {
      id,
      name: handler.name,
      key,
      userId: request.userId,
      type: handler.type,
      priority: request.priority,
      tags: request.tags,
      inputHash,
      keyBase,
      traceparent: traceparent ?? null,
      maxAttempts: request.maxAttempts,
      timeoutMs: request.timeoutMs,
      runAt: request.runAt ?? null,
      delayMs: request.delayMs ?? null,
      expiresAt: request.expiresAt ?? null,
      input,
      data: this.textOf(data),
      countsForUser: !request.isTrusted,
      replaces: replaced === null ? null : seenAs(replaced),
    };
    return { row, data };
  }

  /** The task as of its `created`, and the facts that tell of it. */
  created({ row, data }: PreparedTask, { at, keyBase }: Created, owner: string): CommittedFact {
    const said = keyBase === row.keyBase ? data : { ...data, keyBase };
    const body = said === data ? row.data : JSON.stringify(said);
    const entry = { type: 'created', taskId: row.id, taskSeq: 1, at, attempt: 1, fence: 0, owner, data: said, body } as const;
    return { task: fold(null, entry, CLUSTER_HOME)!, entry };
  }

  /** The same task as of a start that was made together with it. */
  started({ task }: CommittedFact, { row }: PreparedTask, owner: string): CommittedFact {
    const at = task.lastEventAt;
    const entry = { type: 'start', taskId: row.id, taskSeq: 2, at, attempt: 1, fence: 1, owner, data: {}, body: '' } as const;
    return { task: changed(fold(task, entry, CLUSTER_HOME)!, { input: row.input }), entry };
  }

  private textOf(data: EntryData): string {
    let text = this.texts.get(data);
    if (text === undefined) this.texts.set(data, (text = JSON.stringify(data)));
    return text;
  }
}

const seenAs = ({ id, fence, lastSeq, deadLetteredAt }: TaskState): NonNullable<NewTask['replaces']> => ({
  id,
  fence,
  lastSeq,
  deadLetteredAt,
});
