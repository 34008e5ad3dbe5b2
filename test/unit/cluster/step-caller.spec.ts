import { describe, expect, it } from '@jest/globals';
import type { PlannedMove } from '../../../lib/engines/cluster/facts/planned-move.js';
import { StepCaller } from '../../../lib/engines/cluster/facts/step-caller.js';
import type { ApplyCall } from '../../../lib/engines/cluster/storage/apply-call.interface.js';
import { FakeClock } from '../../support/clock/fake-clock.js';

const calls: string[][] = [];
const moveOf = (id: string): PlannedMove => ({ move: { task: { id } }, facts: [], after: null, weight: 1 }) as unknown as PlannedMove;

describe('A call to the server', () => {
  it('never moves one task twice, because a statement would make only one of both moves', async () => {
    const apply = (call: ApplyCall): Promise<never> => {
      calls.push(call.moves.map(({ task }) => task.id));
      return Promise.resolve({ now: 0, outcomes: call.moves.map(() => 'applied') } as never);
    };
    const functions = { apply, step: apply, claim: () => Promise.reject(new Error('not asked for')) };
    const caller = new StepCaller(
      functions,
      new FakeClock(),
      () => 'me',
      () => undefined,
      250,
    );
    await Promise.all(['a', 'b', 'a', 'c', 'a'].map((id) => caller.apply(moveOf(id))));
    expect(calls).toEqual([['a', 'b'], ['a', 'c'], ['a']]);
    caller.close();
  });
});
