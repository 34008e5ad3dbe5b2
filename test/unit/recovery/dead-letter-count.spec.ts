import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { ChangeFeed } from '../../../lib/contracts/change-feed.interface.js';
import type { CommittedFact } from '../../../lib/contracts/task-history.interface.js';
import type { DeadLetterService } from '../../../lib/dead-letters/dead-letter.service.js';
import { DeadLetterCount } from '../../../lib/dead-letters/dead-letter-count.service.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';
import { TelemetryDouble } from '../../support/doubles/executor-harness.js';

let count: DeadLetterCount;
let commit: (types: readonly string[], body?: string) => void;
/** What the engine answers. */
let ask: () => number;
beforeEach(async () => {
  ask = () => 5;
  const changes = {
    onCommitted: (listener: (facts: readonly CommittedFact[]) => void) => {
      commit = (types, body = '') =>
        listener(types.map((type) => ({ task: { life: 2, startedAt: null }, entry: { type, body } }) as CommittedFact));
    },
  } as ChangeFeed;
  const deadLetters = { size: async () => ask() } as DeadLetterService;
  const logger = { log() {}, warn() {}, error() {} };
  count = new DeadLetterCount(new TaskflowOptions(), new FakeClock(), logger, new TelemetryDouble(), changes, deadLetters);
  count.start();
  await settle();
});
afterEach(() => count.stop());

describe('the number of dead letters in the statistics', () => {
  it('follows what becomes durable between two counts', async () => {
    await count.recount();
    commit(['error', 'error', 'progress', 'dlq-removed']);
    expect(count.size).toBe(6);
  });

  it('is not lowered by a retry, or a new owner of the key, of a task that was none', async () => {
    await count.recount();
    commit(['retry', 'dlq-removed'], '{"dead":false}');
    expect(count.size).toBe(5);
    commit(['retry', 'dlq-removed'], '{"reason":"manual"}');
    expect(count.size).toBe(3);
  });

  it('keeps a failure that became durable while they were counted', async () => {
    const answers = [0, 1];
    let asked = 0;
    ask = () => {
      if (asked === 0) commit(['error']);
      return answers[asked++]!;
    };
    await count.recount();
    expect([count.size, asked]).toEqual([1, 2]);
  });

  it('is taken over in the end where tasks fail all the time', async () => {
    let asked = 0;
    ask = () => {
      commit(['error']);
      return 100 + ++asked;
    };
    await count.recount();
    expect(asked).toBeLessThan(10);
    expect(count.size).toBe(100 + asked);
  });
});
