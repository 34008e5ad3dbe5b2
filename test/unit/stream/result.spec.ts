import { describe, expect, it } from '@jest/globals';
import { ShuttingDownError } from '../../../lib/errors/admission.errors.js';
import { TaskCancelledError, TaskFailedError } from '../../../lib/errors/execution.errors.js';
import { settle } from '../../support/clock/fake-clock.js';
import { StreamHouse } from './stream-house.js';

const ERROR = { name: 'Error', message: 'broken', retryable: false };

describe('The result of a task', () => {
  it('is what it completes with, whether it is asked for before or after', async () => {
    const house = new StreamHouse();
    const queued = house.facts.create();
    const early = house.streams.result(queued);
    await settle();
    house.facts.commit('task-1', ['start'], ['progress', { payload: 1 }]);
    const ended = house.facts.commit('task-1', ['complete', { result: { rows: 3 } }]);
    expect(await early).toEqual({ rows: 3 });
    expect(await house.streams.result(ended)).toEqual({ rows: 3 });
    expect(await house.streams.result({ ...ended, result: undefined })).toEqual({ rows: 3 }); // read from history
    expect(house.streams.stats().subscribers).toBe(0);
  });

  it('is undefined where nothing was returned', async () => {
    const house = new StreamHouse();
    house.facts.create();
    expect(await house.streams.result(house.facts.commit('task-1', ['complete']))).toBeUndefined();
  });

  it('is an error with the task as of its end', async () => {
    const house = new StreamHouse();
    const failing = house.streams.result(house.facts.create('failing'));
    const cancelled = house.streams.result(house.facts.create('cancelled'));
    await settle();
    house.facts.commit('failing', ['start'], ['error', { error: ERROR }]);
    house.facts.commit('cancelled', ['cancelled']);
    await expect(failing).rejects.toBeInstanceOf(TaskFailedError);
    await expect(failing).rejects.toMatchObject({
      task: { id: 'failing', status: 'failed', error: ERROR, input: { secret: 'input' }, fence: 1 },
    });
    await expect(cancelled).rejects.toBeInstanceOf(TaskCancelledError);
    await expect(cancelled).rejects.toMatchObject({ task: { id: 'cancelled', status: 'cancelled' } });
    await expect(house.streams.result(house.facts.state('failing'))).rejects.toBeInstanceOf(TaskFailedError);
    await expect(house.streams.result(house.facts.state('cancelled'))).rejects.toBeInstanceOf(TaskCancelledError);
  });

  it('is that of the life it was asked in, though another one has begun or the database is down', async () => {
    const house = new StreamHouse();
    const first = house.streams.result(house.facts.create());
    await settle();
    house.facts.commit('task-1', ['start'], ['error', { error: ERROR }], ['retry', { reason: 'manual' }]);
    await expect(first).rejects.toMatchObject({ task: { status: 'failed', life: 1, error: ERROR, lastSeq: 3, fence: 1 } });
    const second = house.streams.result(house.facts.state('task-1'));
    await settle();
    house.facts.isDown = true;
    house.facts.commit('task-1', ['start'], ['error', { error: { ...ERROR, message: 'again' } }]);
    await expect(second).rejects.toMatchObject({ task: { status: 'failed', life: 2, error: { message: 'again' } } });
    expect(house.facts.faults).toBeGreaterThan(0);
  });

  it('is no longer waited for when the signal aborts, or when this process will not see it', async () => {
    const house = new StreamHouse();
    const task = house.facts.create();
    const abort = new AbortController();
    const aborted = house.streams.result(task, abort.signal);
    const halted = house.streams.result(task);
    await settle();
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    house.facts.halt();
    await expect(halted).rejects.toBeInstanceOf(ShuttingDownError);
    await expect(house.streams.result(task, abort.signal)).rejects.toThrow('enough');
  });
});
