import { describe, expect, it } from '@jest/globals';
import type { ClaimedWork, WorkItem } from '../../../lib/engines/local/queue/work-source.interface.js';
import { seededRandom } from '../../support/clock/fake-clock.js';
import { queueOf, workItem } from '../../support/doubles/work-items.js';

const GLOBAL = 6;
const PER_USER = 3;
const RECOVERIES = 2;
const LIMITS: Record<string, number> = { b: 2, c: 1 };
const NAMES = ['a', 'b', 'c', 'late'];

interface Run {
  readonly item: WorkItem;
  readonly work: ClaimedWork;
  isRecovering: boolean;
}

/** The rules, written down without any thought for speed. */
class NaiveQueue {
  waiting: WorkItem[] = [];
  running: Run[] = [];
  readonly defined = new Set(['a', 'b', 'c']);

  isDue(item: WorkItem, now: number, monotonic: number): boolean {
    return item.runAt <= now && item.notBefore <= monotonic;
  }

  mayRun(item: WorkItem): boolean {
    const count = (match: (run: Run) => boolean): number => this.running.filter(match).length;
    return (
      this.defined.has(item.name) &&
      this.running.length < GLOBAL &&
      (item.userId === null || count((run) => run.item.userId === item.userId) < PER_USER) &&
      count((run) => run.item.name === item.name) < (LIMITS[item.name] ?? Infinity) &&
      (!item.recovering || count((run) => run.isRecovering) < RECOVERIES) &&
      (!item.suspect || count((run) => run.item.suspect) < 1)
    );
  }

  /** Tasks that go before this one in its own lane. */
  ahead(item: WorkItem, let_: (other: WorkItem) => boolean): WorkItem[] {
    return this.waiting.filter(
      (other) =>
        let_(other) &&
        other.name === item.name &&
        other.userId === item.userId &&
        other.recovering === item.recovering &&
        other.suspect === item.suspect &&
        (other.priority < item.priority || (other.priority === item.priority && other.order < item.order)),
    );
  }
}

describe('FairQueue against a naive model (random)', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('keeps every limit, every order, and leaves no slot empty that could be filled; seed %i', (seed) => {
    const random = seededRandom(seed * 7919);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
    const { queue, clock } = queueOf({
      global: GLOBAL,
      perUser: PER_USER,
      recoveries: RECOVERIES,
      names: ['a', 'b', 'c'],
      handlerLimits: LIMITS,
    });
    const model = new NaiveQueue();
    const users = [null, 'u1', 'u2', 'u3', 'u4'];
    // What tick() has let in: time that passed since does not count yet.
    const letIn = new Set<string>();
    let number = 0;
    const seen = { claims: 0, blockedEnds: 0, priorities: 0, parked: 0, putBack: 0, withdrawn: 0, delayed: 0 };

    const offer = (): void => {
      number += 1;
      const item = workItem(number, {
        name: pick(NAMES),
        userId: pick(users),
        priority: pick([0, 0, 0, -1, 5, Math.floor(random() * 40)]),
        order: random() < 0.8 ? number : number - Math.floor(random() * 200) + random(),
        runAt: random() < 0.2 ? clock.now() + Math.floor(random() * 300) : 0,
        notBefore: random() < 0.2 ? clock.monotonic() + Math.floor(random() * 300) : 0,
        recovering: random() < 0.15,
        suspect: random() < 0.1,
      });
      queue.offer(item);
      model.waiting.push(item);
      if (model.isDue(item, clock.now(), clock.monotonic())) letIn.add(item.taskId);
      else seen.delayed += 1;
    };
    const tick = (): void => {
      clock.advance(Math.floor(random() * 80));
      queue.tick();
      for (const item of model.waiting) if (model.isDue(item, clock.now(), clock.monotonic())) letIn.add(item.taskId);
    };
    const isRunnable = (item: WorkItem): boolean => letIn.has(item.taskId);
    const claim = (): void => {
      const limit = pick([1, 2, 100]);
      const claimed = queue.claim(limit);
      for (const work of claimed) {
        const item = model.waiting.find((other) => other.taskId === work.taskId)!;
        expect({ seed, number, runnable: isRunnable(item), allowed: model.mayRun(item) }).toEqual({
          seed,
          number,
          runnable: true,
          allowed: true,
        });
        expect({ seed, ahead: model.ahead(item, isRunnable) }).toEqual({ seed, ahead: [] });
        if (item.userId !== null && item.name === 'a') {
          // `a` has no limit of its own, so among them priority is exact within a user.
          const better = model.waiting.filter(
            (other) => other.userId === item.userId && other.name === 'a' && !other.recovering && !other.suspect,
          );
          expect(better.filter((other) => isRunnable(other) && other.priority < item.priority)).toEqual([]);
          seen.priorities += 1;
        }
        model.waiting = model.waiting.filter((other) => other !== item);
        letIn.delete(item.taskId);
        model.running.push({ item, work, isRecovering: item.recovering });
        seen.claims += 1;
      }
      if (claimed.length < limit) {
        const missed = model.waiting.filter((item) => isRunnable(item) && model.mayRun(item));
        expect({ seed, number, missed }).toEqual({ seed, number, missed: [] });
        if (model.waiting.some(isRunnable)) seen.blockedEnds += 1;
      }
    };
    const end = (): void => {
      if (model.running.length === 0) return;
      const run = pick(model.running);
      model.running = model.running.filter((other) => other !== run);
      if (random() < 0.15) {
        const notBefore = random() < 0.5 ? 0 : clock.monotonic() + 50;
        const item = { ...run.item, runAt: 0, notBefore };
        if (random() < 0.5) run.work.slot.release();
        queue.putBack(item.taskId, notBefore);
        model.waiting.push(item);
        if (notBefore === 0) letIn.add(item.taskId);
        seen.putBack += 1;
      }
      run.work.slot.release();
      run.work.slot.release();
    };
    const withdraw = (): void => {
      if (model.waiting.length === 0) return;
      const item = pick(model.waiting);
      expect(queue.withdraw(item.taskId)).toBe(true);
      expect(queue.withdraw(item.taskId)).toBe(false);
      model.waiting = model.waiting.filter((other) => other !== item);
      letIn.delete(item.taskId);
      seen.withdrawn += 1;
    };
    const recovered = (): void => {
      const run = model.running.find((other) => other.isRecovering);
      if (run === undefined) return;
      run.work.slot.recovered();
      run.isRecovering = false;
    };

    for (let step = 0; step < 6000; step += 1) {
      const dice = random();
      if (dice < (step % 2000 < 1000 ? 0.35 : 0.12)) offer();
      else if (dice < 0.45) tick();
      else if (dice < 0.7) end();
      else if (dice < 0.75) withdraw();
      else if (dice < 0.8) recovered();
      else claim();
      if (step === 3000) {
        model.defined.add('late');
        queue.define('late');
      }
      const late = model.waiting.filter((item) => isRunnable(item) && !model.defined.has(item.name)).length;
      seen.parked += late;
      const delayed = model.waiting.filter((item) => !isRunnable(item)).length;
      expect(queue.size).toEqual({ queued: model.waiting.length - delayed - late, delayed, parked: late });
    }
    // All of it comes out in the end.
    clock.advance(1000);
    tick();
    for (let round = 0; model.waiting.length > 0 && round < 10_000; round += 1) {
      claim();
      for (const run of model.running.splice(0)) run.work.slot.release();
    }
    expect({ seed, left: model.waiting.length, size: queue.size }).toEqual({ seed, left: 0, size: { queued: 0, delayed: 0, parked: 0 } });
    for (const [what, count] of Object.entries(seen)) expect({ seed, what, happened: count > 20 }).toEqual({ seed, what, happened: true });
  });
});
