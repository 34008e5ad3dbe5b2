import { describe, expect, it } from '@jest/globals';
import { lastValueFrom, toArray } from 'rxjs';
import type { TaskErrorInfo } from '../../../lib/contracts/task.interface.js';
import { errorForClients } from '../../../lib/domain/client-error.js';
import { snapshotOf } from '../../../lib/domain/task-snapshot.js';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { ConfigValidationError } from '../../../lib/errors/config.errors.js';
import { NonRetryableError, TaskFailedError, TaskTimeoutError } from '../../../lib/errors/execution.errors.js';
import { ConflictError, HandlerNotFoundError, NotFoundError, ValidationError } from '../../../lib/errors/request.errors.js';
import { EventLogFullError, RepositoryError } from '../../../lib/errors/storage.errors.js';
import { errorInfoOf } from '../../../lib/executor/error-info.js';
import { StreamHouse } from './stream-house.js';

const SECRET = 'connect ECONNREFUSED 10.0.0.3:5432';
const unexpected = (): TaskErrorInfo => errorInfoOf(Object.assign(new TypeError(SECRET), { code: 'ECONNREFUSED' }), 8192);
const isShown = (thrown: unknown): boolean => {
  const info = errorInfoOf(thrown, 8192);
  return errorForClients(info).message === info.message;
};

describe('Of an error that nobody expected', () => {
  it.each([false, true])('a browser is told name and code, and the message only where exposeErrorMessages says so: %s', async (exposes) => {
    const house = new StreamHouse({ exposeErrorMessages: exposes });
    house.facts.create();
    house.facts.commit('task-1', ['start'], ['retry', { reason: 'failed', runAt: 1, error: unexpected() }]);
    house.facts.commit('task-1', ['start'], ['error', { error: unexpected() }]);
    const messages = await lastValueFrom((await house.sse('task-1')).pipe(toArray()));
    for (const seq of [3, 5]) {
      const { payload } = JSON.parse(messages[seq - 1]!.data as string) as { payload: { error: TaskErrorInfo } };
      expect(payload.error).toMatchObject({ name: 'TypeError', code: 'ECONNREFUSED' });
      expect(payload.error.message.includes('10.0.0.3')).toBe(exposes);
    }
    const state = house.facts.state('task-1');
    expect(JSON.stringify(snapshotOf(state, exposes)).includes('10.0.0.3')).toBe(exposes);
    const events = await lastValueFrom(house.open('task-1').pipe(toArray()));
    expect(JSON.stringify(events).includes('10.0.0.3')).toBe(exposes);
    // Code that runs on the server reads all of it, and storage keeps it.
    expect(events.map(({ payload }) => payload?.error?.message)).toEqual([undefined, undefined, SECRET, undefined, SECRET]);
    expect(snapshotOf(state).error?.message).toBe(SECRET);
  });

  it('what was written for whoever watches keeps its message', () => {
    class CardDeclined extends NonRetryableError {}
    for (const meant of [
      new NonRetryableError('The card was declined.'),
      new CardDeclined('The card was declined.'),
      new TaskTimeoutError(50),
      new ValidationError('input.rows', 'must be a number'),
      new BackpressureError('user', 50),
      new ConflictError('IDEMPOTENCY_CONFLICT', 'The key is taken.'),
      new NotFoundError(),
    ])
      expect([meant.name, isShown(meant)]).toEqual([meant.name, true]);
  });

  it('texts for developers and operators are no exception, nor foreign errors that borrow a name', () => {
    const failed = new TaskFailedError({ name: 'child', error: unexpected() } as never);
    const hidden = [
      new RepositoryError('UNAVAILABLE', SECRET),
      new EventLogFullError('/var/data/events.log: no space'),
      new ConfigValidationError([{ path: 'repository.password', message: 'is wrong' }]),
      new HandlerNotFoundError('mail', ['charge-card', 'send-mail']),
      new ValidationError('userId', 'is present but undefined', 'application'),
      failed,
      Object.assign(new Error(SECRET), { name: 'ValidationError' }),
      Object.assign(new Error(SECRET), { name: 'TaskTimeoutError', code: 'ETIMEDOUT' }),
      Object.assign(new Error(SECRET), { name: 'constructor' }),
      SECRET,
      { secret: SECRET },
    ];
    expect(hidden.filter(isShown)).toEqual([]);
  });
});
