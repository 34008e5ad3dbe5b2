import type { MessageEvent } from '@nestjs/common';
import type { TaskId } from '../../../lib/contracts/ids.js';
import type { TaskPage, TaskQueries, TaskQuery } from '../../../lib/contracts/task-queries.interface.js';
import { parseCursors } from '../../../lib/domain/stream-cursors.js';
import { comparePositions, matches, positionOf } from '../../../lib/domain/task-query.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import type { TaskFilter } from '../../../lib/stream/many/followed-tasks.js';
import { ManyStreams } from '../../../lib/stream/many/many-streams.service.js';
import type { SseResponse } from '../../../lib/stream/sse-response.js';
import { FakeFacts } from '../../support/doubles/fake-facts.js';
import { StreamHouse, Watched } from './stream-house.js';

/** Answers questions from the same memory. */
export class FakeQueries extends FakeFacts implements TaskQueries {
  pages = 0;

  find(id: TaskId): Promise<TaskState | null> {
    return this.load(id);
  }
  peek(id: TaskId): Promise<TaskState | null> {
    return this.load(id);
  }
  findByKey(): Promise<TaskState | null> {
    return Promise.resolve(null);
  }
  async page(query: TaskQuery): Promise<TaskPage> {
    this.pages += 1;
    await Promise.resolve();
    this.assertUp();
    const states = [...this.tasks.values()].flatMap(({ state }) => (state === null ? [] : [state]));
    const items = states
      .filter((state) => matches(state, query) && (query.after === undefined || comparePositions(positionOf(state, {}), query.after) < 0))
      .sort((a, b) => comparePositions(positionOf(b, {}), positionOf(a, {})));
    const shown = items.slice(0, query.limit);
    return { items: shown, next: items.length > shown.length ? positionOf(shown.at(-1)!, {}) : null };
  }
  countDeadLetters(): Promise<number> {
    return Promise.resolve(0);
  }
  isAmongNewestDead(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

export interface Told {
  readonly id: string;
  /** `task seq`, or the name of a message that is no event, and its task. */
  readonly what: string;
  readonly data: Record<string, unknown>;
}

/** One connection. */
export class ManyClient extends Watched<MessageEvent> {
  get told(): Told[] {
    return this.values
      .filter(({ comment, retry }) => comment === undefined && retry === undefined)
      .map(({ id, type, data }) => {
        const parsed = JSON.parse(data as string) as Record<string, unknown>;
        const what = `${String(parsed['taskId'])} ${'seq' in parsed ? String(parsed['seq']) : type}`;
        return { id: id!, what, data: parsed };
      });
  }
  get what(): string[] {
    return this.told.map(({ what }) => what);
  }
  get hint(): MessageEvent | undefined {
    return this.values.find(({ retry }) => retry !== undefined);
  }
  get lastId(): string {
    return this.values.findLast(({ id }) => id !== undefined)?.id ?? '';
  }
}

/** Streams of many tasks over facts in memory. */
export class ManyHouse extends StreamHouse {
  declare readonly facts: FakeQueries;
  readonly many: ManyStreams;

  constructor(stream: Record<string, number | boolean> = {}) {
    super(stream, new FakeQueries());
    // Facts and clock tell the same time.
    this.facts.now = () => this.clock.now();
    this.many = new ManyStreams(this.clock, this.facts, this.facts, this.streams);
    this.many.start();
  }

  async follow(tasks: readonly string[] | TaskFilter, lastId = '', owner?: string | null): Promise<ManyClient> {
    return new ManyClient(await this.messages(tasks, lastId, owner));
  }

  async messages(tasks: readonly string[] | TaskFilter, lastId = '', owner?: string | null): Promise<SseResponse<never>> {
    const cursors = new Map(Object.entries(lastId === '' ? {} : parseCursors(lastId)));
    const selected = Array.isArray(tasks) ? (tasks as string[]).map((id) => this.facts.state(id)) : (tasks as TaskFilter);
    const snapshot = ({ status, lastSeq }: TaskState): unknown => ({ status, lastSeq });
    return (await this.many.sse({ owner, tasks: selected, cursors }, { missing: [], snapshot })) as SseResponse<never>;
  }
}
