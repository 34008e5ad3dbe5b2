import { describe, expect, it } from '@jest/globals';
import { Deferred } from '../../../lib/primitives/deferred.js';
import { InterruptibleLoop } from '../../../lib/primitives/interruptible-loop.js';
import { FakeClock, settle } from '../../support/clock/fake-clock.js';

function loopOf(turn: (signal: AbortSignal) => Promise<void> | void) {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const loop = new InterruptibleLoop(clock, { intervalMs: 100, turn, onError: (error) => errors.push(error) });
  return { clock, errors, loop };
}

describe('InterruptibleLoop', () => {
  it('takes a turn after each pause, and none after stop', async () => {
    let turns = 0;
    const { clock, loop } = loopOf(() => void (turns += 1));
    loop.start();
    loop.start();
    await clock.run(99);
    expect(turns).toBe(0);
    await clock.run(201);
    expect(turns).toBe(3);
    await loop.stop();
    await clock.run(1000);
    expect(turns).toBe(3);
    expect(clock.timers).toBe(0);
  });

  it('never overlaps turns: the pause begins when a turn has ended', async () => {
    const gate = new Deferred();
    let begun = 0;
    const { clock, loop } = loopOf(() => ((begun += 1), gate.promise));
    loop.start();
    await clock.run(1000);
    expect(begun).toBe(1);
    gate.resolve();
    await clock.run(100);
    expect(begun).toBe(2);
    await loop.stop();
  });

  it('goes on after a turn that threw, at once or later, and hands the error over', async () => {
    let turns = 0;
    const { clock, errors, loop } = loopOf(() => {
      turns += 1;
      if (turns === 1) throw new Error('at once');
      return turns === 2 ? Promise.reject(new Error('later')) : undefined;
    });
    loop.start();
    await clock.run(300);
    expect(errors.map(String)).toEqual(['Error: at once', 'Error: later']);
    expect(turns).toBe(3);
    await loop.stop();
    loop.start();
    await clock.run(100);
    expect(turns).toBe(4);
    await loop.stop();
  });

  it('waits in stop for the turn that runs, and tells it by its signal', async () => {
    const gate = new Deferred();
    let seen: AbortSignal | undefined;
    const { clock, loop } = loopOf((signal) => ((seen = signal), gate.promise));
    loop.start();
    await clock.run(100);
    let isStopped = false;
    const stopping = loop.stop().then(() => (isStopped = true));
    await settle();
    expect({ isStopped, aborted: seen?.aborted }).toEqual({ isStopped: false, aborted: true });
    gate.resolve();
    await stopping;
    expect(clock.timers).toBe(0);
  });

  it('begins the next turn at once when it is woken, but not a second one beside the first', async () => {
    let turns = 0;
    const gate = new Deferred();
    const { clock, loop } = loopOf(() => ((turns += 1), turns === 2 ? gate.promise : undefined));
    loop.wake();
    expect(turns).toBe(0);
    loop.start();
    loop.wake();
    await settle();
    expect(turns).toBe(1);
    loop.wake();
    loop.wake();
    expect(turns).toBe(2);
    gate.resolve();
    await clock.run(100);
    expect(turns).toBe(3);
    await loop.stop();
  });
});
