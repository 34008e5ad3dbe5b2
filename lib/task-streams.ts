import { Inject, Injectable, type MessageEvent } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { SseManyOptions, TaskRef, TaskSelection } from './contracts/task-system.interface.js';
import { DeadLetterService } from './dead-letters/dead-letter.service.js';
import type { Owner } from './domain/owner.js';
import { checkCursors } from './domain/stream-cursors.js';
import type { TaskState } from './domain/task-state.js';
import { NotFoundError, ValidationError } from './errors/request.errors.js';
import { TaskResolver } from './intake/task-resolver.service.js';
import { Readiness } from './lifecycle/readiness.js';
import { ManyStreams } from './stream/many/many-streams.service.js';
import { FILTER_OPTIONS, taskFilterOf } from './task-filter.js';
import { MisuseLog } from './telemetry/misuse-log.js';

const MAX_REFS = 100;
const AT_ONCE = 10;
const OPTIONS: readonly string[] = ['cursors', 'signal'] satisfies (keyof SseManyOptions)[];

interface Named {
  readonly tasks: TaskState[];
  readonly missing: string[];
}

/** From what a caller selects to one stream of many tasks. */
@Injectable()
export class TaskStreams {
  constructor(
    @Inject(Readiness) private readonly readiness: Readiness,
    private readonly resolver: TaskResolver,
    private readonly streams: ManyStreams,
    private readonly deadLetters: DeadLetterService,
    private readonly misuse: MisuseLog,
  ) {}

  async sse(selection: TaskSelection, options: SseManyOptions = {}): Promise<Observable<MessageEvent>> {
    if (typeof selection !== 'object' || selection === null)
      throw this.misuse.seen(
        new ValidationError('selection', 'must be an object such as { refs, userId } or { userId, status }', 'application'),
      );
    const isNamed = 'refs' in selection;
    const owner = this.misuse.ownerOf(selection, isNamed ? ['refs'] : FILTER_OPTIONS);
    const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
    if (unknown !== undefined) throw new ValidationError(unknown, `is not an option of this method, which takes ${OPTIONS.join(', ')}`);
    const cursors = checkCursors(options.cursors);
    const filter = isNamed ? undefined : taskFilterOf(selection, owner);
    if (isNamed) checkRefs(selection.refs);
    await this.readiness.wait();
    const { tasks, missing } = isNamed ? await this.named(selection.refs, owner) : { tasks: filter!, missing: [] };
    return this.streams.sse({ owner, tasks, cursors }, { signal: options.signal, missing, snapshot: (task) => this.snapshot(task) });
  }

  private async named(refs: readonly TaskRef[], owner: Owner): Promise<Named> {
    const tasks = new Map<string, TaskState>();
    const missing: string[] = [];
    for (let from = 0; from < refs.length; from += AT_ONCE) {
      const found = refs.slice(from, from + AT_ONCE).map((ref) => this.resolver.locate(ref, owner).catch(nullIfMissing));
      for (const [index, task] of (await Promise.all(found)).entries()) {
        if (task === null) missing.push(nameOf(refs[from + index]!));
        else tasks.set(task.id, task);
      }
    }
    return { tasks: [...tasks.values()], missing };
  }

  /** As its owner's clients see it: without user id and key, as all that a stream shows, and without its input, which may be large. */
  private snapshot(task: TaskState): object {
    const {
      userId: _user,
      idempotencyKey: _key,
      input: _input,
      ...shown
    } = JSON.parse(JSON.stringify(this.deadLetters.visible(task))) as Record<string, unknown>;
    return shown;
  }
}

function checkRefs(refs: unknown): asserts refs is readonly TaskRef[] {
  if (!Array.isArray(refs) || refs.length < 1 || refs.length > MAX_REFS)
    throw new ValidationError('refs', `must be an array of 1 to ${MAX_REFS} keys, tasks, events, or { taskId }`);
}

function nullIfMissing(error: unknown): null {
  if (NotFoundError.is(error)) return null;
  throw error;
}

const nameOf = (ref: TaskRef): string => (typeof ref === 'string' ? ref : 'taskId' in ref ? ref.taskId : ref.id);
