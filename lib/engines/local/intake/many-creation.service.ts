import type { FactDraft, FactPort } from '../../../contracts/fact-port.interface.js';
import { taskId } from '../../../contracts/ids.js';
import type { Submission } from '../../../contracts/submission.interface.js';
import type { Task } from '../../../contracts/task.interface.js';
import type { SlotLease } from '../../../contracts/work-feed.interface.js';
import { keyConflict, sameTask, supersession } from '../../../domain/key-rules.js';
import { scopedKey } from '../../../domain/task-key.js';
import { createdSnapshotOf, snapshotOf } from '../../../domain/task-snapshot.js';
import type { TaskState } from '../../../domain/task-state.js';
import { ValidationError } from '../../../errors/request.errors.js';
import { type AdmissionTicket, GuardService } from '../../../guard/guard.service.js';
import { type FoundKey, KeyReservations } from '../ledger/key-reservations.service.js';
import { TaskCreation } from './task-creation.service.js';

/** Entries that one frame of the log holds. */
const MAX_ENTRIES = 1_024;

/** A new task of the call. */
interface NewTask {
  readonly at: number;
  readonly submission: Submission;
  readonly value: unknown;
  readonly replaced: TaskState | null;
  readonly keyBase: number;
}

interface Place {
  readonly slot: SlotLease | null;
  readonly drafts: readonly FactDraft[];
}

/** Many submissions of one handler as one: durable together, admitted all or none. */
export class ManyCreation {
  constructor(
    private readonly facts: FactPort,
    private readonly creation: TaskCreation,
    private readonly keys: KeyReservations,
    private readonly guard: GuardService,
  ) {}

  async create(submissions: readonly Submission[], values: readonly unknown[]): Promise<readonly Task[]> {
    for (;;) {
      const tasks = await this.withKeys(submissions, values);
      if (tasks !== undefined) return tasks;
    }
  }

  /** @returns undefined: a task that was to give its key up was retried or pruned meanwhile. */
  private async withKeys(submissions: readonly Submission[], values: readonly unknown[]): Promise<readonly Task[] | undefined> {
    const byKey = new Map<string, number[]>();
    submissions.forEach(({ key, request }, at) => {
      if (key === null) return;
      const scoped = scopedKey(taskId(''), request.userId, key);
      byKey.set(scoped, [...(byKey.get(scoped) ?? []), at]);
    });
    const found = await this.keys.resolveMany([...byKey.keys()], (scoped, existing) =>
      byKey.get(scoped)!.some((at) => this.creation.mayReplace(submissions[at]!, existing)),
    );
    const reservations = [...found.values()].flatMap((each) => ('reservation' in each ? [each.reservation] : []));
    try {
      const answers = new Map<number, Task | number>();
      const fresh = submissions.flatMap((submission, at): NewTask[] =>
        submission.key === null ? [{ at, submission, value: values[at], replaced: null, keyBase: 0 }] : [],
      );
      for (const [scoped, ats] of byKey) fresh.push(...this.ofKey(found.get(scoped)!, ats, submissions, values, answers));
      fresh.sort((a, b) => a.at - b.at);
      const created = fresh.length === 0 ? new Map<number, Task>() : await this.createNew(fresh);
      for (const reservation of reservations) reservation.created();
      if (created === undefined) return undefined;
      return submissions.map((_, at) => {
        const answer = answers.get(at) ?? at;
        return typeof answer === 'number' ? created.get(answer)! : answer;
      });
    } catch (error) {
      for (const reservation of reservations) reservation.failed(error);
      throw error;
    }
  }

  /** Items of one key: the first that may creates the task, those after it are its hits, those before it hits of the task that was there. */
  private ofKey(
    found: FoundKey,
    ats: readonly number[],
    submissions: readonly Submission[],
    values: readonly unknown[],
    answers: Map<number, Task | number>,
  ): NewTask[] {
    const existing = 'existing' in found ? found.existing : found.reservation.replaced;
    const isCreator = (at: number): boolean =>
      'reservation' in found && (existing === null || this.creation.mayReplace(submissions[at]!, existing));
    const creator = ats.find(isCreator);
    for (const at of ats) {
      const submission = submissions[at]!;
      if (creator === undefined || at < creator) {
        this.creation.refuseElsewhere(submission, existing!);
        answers.set(at, snapshotOf(sameTask(existing!, submission)));
      } else if (submission.inputHash !== submissions[creator]!.inputHash) throw keyConflict();
      else answers.set(at, creator);
    }
    if (creator === undefined || !('reservation' in found)) return [];
    const { replaced, keyBase } = found.reservation;
    return [{ at: creator, submission: submissions[creator]!, value: values[creator], replaced, keyBase }];
  }

  private async createNew(fresh: readonly NewTask[]): Promise<Map<number, Task> | undefined> {
    this.creation.refuseWhenStopping(false, fresh[0]!.submission);
    const places = this.places(fresh);
    this.creation.begin();
    let tickets: AdmissionTicket[] = [];
    try {
      tickets = await this.guard.admitMany(
        fresh.map(({ submission: { request } }, n) => ({
          userId: request.userId,
          entry: this.creation.entryOf(request, places[n]!.slot),
          isTrusted: request.isTrusted,
        })),
      );
      this.creation.refuseWhenStopping(
        places.some(({ slot }) => slot !== null),
        fresh[0]!.submission,
      );
      const tasks = await this.append(fresh, places);
      if (tasks === undefined) {
        this.giveBack(tickets, places);
        return undefined;
      }
      return new Map(
        fresh.map(({ at, submission, value }, n) => {
          this.creation.handOver(tasks[n]!, submission, places[n]!.slot, value);
          this.guard.entered(tickets[n]!);
          return [at, createdSnapshotOf(tasks[n]!, submission.input)];
        }),
      );
    } catch (error) {
      this.giveBack(tickets, places);
      throw error;
    } finally {
      this.creation.end();
    }
  }

  /** Those that start at once share the frame, as long as it has room for their `start`. */
  private places(fresh: readonly NewTask[]): Place[] {
    let room = MAX_ENTRIES - fresh.length - fresh.filter(({ replaced }) => replaced !== null).length;
    if (room < 0) throw new ValidationError('items', `take over too many keys at once: one frame of the log holds ${MAX_ENTRIES} entries`);
    return fresh.map(({ submission, keyBase }) => {
      const slot = room > 0 ? this.creation.reserve(submission) : null;
      if (slot !== null) room--;
      return { slot, drafts: this.creation.drafts(submission, slot !== null, keyBase) };
    });
  }

  private async append(fresh: readonly NewTask[], places: readonly Place[]): Promise<TaskState[] | undefined> {
    const superseded = fresh.flatMap(({ replaced }, n) =>
      replaced === null ? [] : [[supersession(replaced, places[n]!.drafts[0]!.taskId)]],
    );
    try {
      const outcome = await this.facts.appendAll([...superseded, ...places.map(({ drafts }) => drafts)]);
      return outcome.kind === 'applied' ? outcome.tasks.slice(superseded.length) : undefined;
    } catch (error) {
      if (!ValidationError.is(error)) throw error;
      throw new ValidationError('items', 'are too large for one frame of the log together; submit fewer at once');
    }
  }

  private giveBack(tickets: readonly AdmissionTicket[], places: readonly Place[]): void {
    for (const ticket of tickets) this.guard.giveBack(ticket);
    for (const { slot } of places) slot?.release();
  }
}
