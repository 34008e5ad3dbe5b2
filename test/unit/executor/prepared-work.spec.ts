import { describe, expect, it } from '@jest/globals';
import type { ResidentFacts } from '../../../lib/engines/local/queue/resident-facts.interface.js';
import { type TaskId, taskId } from '../../../lib/contracts/ids.js';
import { fold } from '../../../lib/domain/fold.js';
import type { TaskState } from '../../../lib/domain/task-state.js';
import { PreparedWork } from '../../../lib/engines/local/queue/prepared-work.js';
import { Deferred } from '../../../lib/primitives/deferred.js';

const idOf = (number: number): TaskId => taskId(`task-${number}`);

function queued(number: number, input = '{}'): TaskState {
  const data = { name: 'work', maxAttempts: 3, timeoutMs: 1000, input: JSON.parse(input) as unknown };
  return fold(null, { type: 'created', taskId: idOf(number), taskSeq: 1, at: 1, fence: 0, owner: 'o', data }, 'home')!;
}
const offer = (prepared: PreparedWork, task: TaskState): void => prepared.add(task, task.input);

/** Tasks that can be read, and what is kept resident of them. */
class Shelf {
  readonly holds = new Map<TaskId, number>();
  readonly reads: number[] = [];
  gate: Deferred | undefined;
  inputs = '{}';
  readonly port = {
    hold: async (ids: readonly TaskId[]): Promise<TaskState[]> => {
      this.reads.push(ids.length);
      await this.gate?.promise;
      for (const id of ids) this.port.retain(id);
      return ids.map((id) => queued(Number(id.slice(5)), this.inputs));
    },
    retain: (id: TaskId): void => void this.holds.set(id, (this.holds.get(id) ?? 0) + 1),
    release: (id: TaskId): void => void this.holds.set(id, (this.holds.get(id) ?? 0) - 1),
  };

  get held(): number {
    return [...this.holds.values()].reduce((sum, count) => sum + count, 0);
  }
  prepared(upcoming: (limit: number) => readonly TaskId[] = () => []): PreparedWork {
    return new PreparedWork(this.port as unknown as ResidentFacts, { peek: upcoming, createdOf: () => undefined });
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const range = (from: number, count: number): TaskId[] => Array.from({ length: count }, (_, at) => idOf(from + at));

describe('Prepared work', () => {
  it('gives a task that was submitted into a short queue without a read, still resident', () => {
    const shelf = new Shelf();
    const prepared = shelf.prepared();
    offer(prepared, queued(1, '{"a":1}'));
    expect(prepared.take(idOf(1))?.input).toBe('{"a":1}');
    expect(prepared.take(idOf(1))).toBeUndefined();
    expect([shelf.reads, shelf.held]).toEqual([[], 1]);
  });

  it('leaves a task without its input to be read', () => {
    const shelf = new Shelf();
    const prepared = shelf.prepared();
    prepared.add(queued(1), undefined);
    expect([prepared.take(idOf(1)), shelf.held]).toEqual([undefined, 0]);
  });

  it('reads the next tasks of a long queue many at a time, and a claim waits for the read it is part of', async () => {
    const shelf = new Shelf();
    shelf.gate = new Deferred();
    const prepared = shelf.prepared((limit) => range(0, Math.min(limit, 1000)));
    prepared.refill(1000);
    const arrival = prepared.arrival(idOf(5));
    expect([prepared.take(idOf(5)), arrival !== undefined]).toEqual([undefined, true]);
    shelf.gate.resolve();
    await arrival;
    expect(prepared.take(idOf(5))?.id).toBe(idOf(5));
    expect(shelf.reads).toEqual([128]);
  });

  it('is bounded, however many tasks are offered or large their inputs are', async () => {
    const shelf = new Shelf();
    const prepared = shelf.prepared((limit) => range(10_000, limit));
    for (let number = 0; number < 2000; number += 1) offer(prepared, queued(number));
    expect(shelf.held).toBe(512);
    const large = new Shelf();
    large.inputs = `"${'x'.repeat(250_000)}"`;
    const few = large.prepared((limit) => range(0, limit));
    for (let round = 0; round < 10; round += 1) {
      few.refill(100_000);
      await turn();
    }
    expect(large.reads).toEqual([128]);
    expect(large.held).toBe(128);
  });

  it('lets go of a task that is withdrawn, also while it is read', async () => {
    const shelf = new Shelf();
    shelf.gate = new Deferred();
    const prepared = shelf.prepared(() => [idOf(1), idOf(2)]);
    prepared.refill(2);
    prepared.forget(idOf(1));
    shelf.gate.resolve();
    await turn();
    expect([shelf.holds.get(idOf(1)), shelf.holds.get(idOf(2))]).toEqual([0, 1]);
    prepared.forget(idOf(2));
    expect([prepared.take(idOf(2)), shelf.held]).toEqual([undefined, 0]);
  });

  it('makes room for those whose turn it is when the ones it has stand at a limit', async () => {
    const shelf = new Shelf();
    const prepared = shelf.prepared(() => range(5000, 20));
    for (let number = 0; number < 512; number += 1) offer(prepared, queued(number));
    for (let number = 5000; number < 5016; number += 1) prepared.take(idOf(number)); // not foreseen
    prepared.refill(600);
    await turn();
    expect(prepared.take(idOf(5019))?.id).toBe(idOf(5019));
    expect(shelf.holds.get(idOf(0))).toBe(0);
  });

  it('keeps nothing resident once it is cleared, whatever is being read', async () => {
    const shelf = new Shelf();
    shelf.gate = new Deferred();
    const prepared = shelf.prepared(() => range(0, 100));
    offer(prepared, queued(7000));
    prepared.refill(100);
    prepared.clear();
    shelf.gate.resolve();
    await turn();
    expect([shelf.held, shelf.reads]).toEqual([0, [100]]);
  });
});
