import { beforeEach, describe, expect, it } from '@jest/globals';
import { TaskflowOptions } from '../../../lib/config/taskflow.options.js';
import type { CommittedFact } from '../../../lib/contracts/task-history.interface.js';
import { DeadLetterCount } from '../../../lib/dead-letters/dead-letter-count.service.js';

let count: DeadLetterCount;
let commit: (types: readonly string[], body?: string) => void;
beforeEach(() => {
  count = new DeadLetterCount(new TaskflowOptions(), {
    onCommitted: (listener) => {
      commit = (types, body = '') =>
        listener(types.map((type) => ({ task: { life: 2, startedAt: null }, entry: { type, body } }) as CommittedFact));
    },
  } as ConstructorParameters<typeof DeadLetterCount>[1]);
  count.start();
});

describe('the number of dead letters in the statistics', () => {
  it('follows what becomes durable between two counts', async () => {
    await count.recount(async () => 5);
    commit(['error', 'error', 'progress', 'dlq-removed']);
    expect(count.size).toBe(6);
  });

  it('is not lowered by a retry, or a new owner of the key, of a task that was none', async () => {
    await count.recount(async () => 5);
    commit(['retry', 'dlq-removed'], '{"dead":false}');
    expect(count.size).toBe(5);
    commit(['retry', 'dlq-removed'], '{"reason":"manual"}');
    expect(count.size).toBe(3);
  });

  it('keeps a failure that became durable while they were counted', async () => {
    const answers = [0, 1];
    let asked = 0;
    await count.recount(async () => {
      if (asked === 0) commit(['error']);
      return answers[asked++]!;
    });
    expect([count.size, asked]).toEqual([1, 2]);
  });

  it('is taken over in the end where tasks fail all the time', async () => {
    let asked = 0;
    await count.recount(async () => {
      commit(['error']);
      return 100 + ++asked;
    });
    expect(asked).toBeLessThan(10);
    expect(count.size).toBe(100 + asked);
  });
});
