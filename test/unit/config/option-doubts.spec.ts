import { describe, expect, it } from '@jest/globals';
import { doubts } from '../../../lib/config/option-doubts.js';
import { resolveOptions } from '../../../lib/config/resolve-options.js';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';

const doubtsOf = (guard: TaskflowOptionsInput['guard']): string[] => doubts(resolveOptions({ guard: guard ?? {} }));

describe('limits of the guard that contradict each other', () => {
  it('are told of at the start: one of a user that is above the one of all limits nobody', () => {
    expect(doubtsOf({ slots: { maxExecutionGlobal: 5, maxExecutionPerUser: 6 } })).toEqual([
      'guard.slots.maxExecutionPerUser (6) is above guard.slots.maxExecutionGlobal (5), so that it limits nobody: one user can take all of it.',
    ]);
    expect(doubtsOf({ backpressure: { maxTasksPerWindow: 5, maxTasksPerUserWindow: 6 } })).toEqual([
      expect.stringContaining('guard.backpressure.maxTasksPerUserWindow (6) is above guard.backpressure.maxTasksPerWindow (5)'),
    ]);
  });

  it('are no doubt where they are equal, or where only the limit of all was lowered', () => {
    expect(doubtsOf({ slots: { maxExecutionGlobal: 5, maxExecutionPerUser: 5 } })).toEqual([]);
    expect(doubtsOf({ slots: { maxExecutionGlobal: 2 }, backpressure: { maxTasksPerWindow: 5 } })).toEqual([]);
  });
});
