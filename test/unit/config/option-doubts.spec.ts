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

describe('times of a stop and a start that contradict each other', () => {
  const doubtsWith = (input: TaskflowOptionsInput): string[] => doubts(resolveOptions(input));

  it('are none by default, nor where the second process is meant to fail at once', () => {
    expect(doubtsWith({})).toEqual([]);
    expect(doubtsWith({ eventLog: { lockTimeoutMs: 0 } })).toEqual([]);
  });

  it('are told of at the start: a lock that is waited for less long than a stop may take', () => {
    const told = doubtsWith({ eventLog: { lockTimeoutMs: 20_000 }, shutdown: { timeoutMs: 8_000, forceKillTimeoutMs: 2_000 } });
    expect(told).toEqual([expect.stringContaining('eventLog.lockTimeoutMs (20000) is shorter than an orderly stop may take (22000 ms')]);
    expect(doubtsWith({ eventLog: { lockTimeoutMs: 22_000 }, shutdown: { timeoutMs: 8_000, forceKillTimeoutMs: 2_000 } })).toEqual([]);
  });

  it('are told of at the start: a first backoff above the largest', () => {
    expect(doubtsWith({ executor: { retry: { initialDelayMs: 500, maxDelayMs: 400 } } })).toEqual([
      expect.stringContaining('executor.retry.initialDelayMs (500) is above executor.retry.maxDelayMs (400)'),
    ]);
  });
});
