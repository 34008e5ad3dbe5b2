import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { FACT_PORT } from '../../../lib/config/taskflow.tokens.js';
import type { FactPort } from '../../../lib/contracts/fact-port.interface.js';
import type { TaskflowOptionsInput } from '../../../lib/config/taskflow-options.interface.js';
import type { SubmitParams } from '../../../lib/contracts/task-system.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { ValidationError } from '../../../lib/errors/request.errors.js';
import { RepositoryError } from '../../../lib/errors/storage.errors.js';
import { settle } from '../../support/clock/fake-clock.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

let house: WholeSystem;
let work: HandDrivenWork;

async function open(options: TaskflowOptionsInput = {}): Promise<void> {
  house = new WholeSystem(options);
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  await house.start();
}
afterEach(() => house.stop());

const CALLERS = 12;
const submit = (more: Partial<SubmitParams<unknown>> = {}): Promise<Task> =>
  house.system.submit('work', { input: 1, idempotencyKey: 'k', ...more });
/** What came of each, and after how long. */
function callers(more: Partial<SubmitParams<unknown>> = {}) {
  const startedAt = house.clock.monotonic();
  const answers = Array.from({ length: CALLERS }, () =>
    submit(more).then(
      ({ id }) => ({ id, ms: house.clock.monotonic() - startedAt }),
      (error: { code: string; outcome?: string }) => ({
        code: error.code,
        ...(error.outcome === undefined ? {} : { outcome: error.outcome }),
        ms: house.clock.monotonic() - startedAt,
      }),
    ),
  );
  return house.until(Promise.all(answers), 600_000);
}

/** Questions by key take that long from now on. @returns how often the database was asked. */
function slowKeys(ms: number): { asked: number } {
  const { clock, repository } = house.now;
  const questions = { asked: 0 };
  const find = repository.findByIdempotencyKey.bind(repository);
  jest.spyOn(repository, 'findByIdempotencyKey').mockImplementation(async (key) => {
    questions.asked += 1;
    await new Promise<void>((resolve) => void clock.after(ms, resolve));
    if (house.shared.isAway) throw new RepositoryError('UNAVAILABLE', 'away');
    return find(key);
  });
  return questions;
}

describe('callers with one key', () => {
  it('fail together, in one wait, while the database cannot be read; and succeed when it is back', async () => {
    await open();
    house.shared.isAway = true;
    const questions = slowKeys(2_000);
    const answers = await callers();
    expect(answers).toEqual(Array(CALLERS).fill({ code: 'UNAVAILABLE', outcome: 'none', ms: expect.any(Number) }));
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(4_000);
    expect(questions.asked).toBe(1);
    house.shared.isAway = false;
    const found = await callers();
    expect(new Set(found.map((answer) => 'id' in answer && answer.id)).size).toBe(1);
    expect(Math.max(...found.map(({ ms }) => ms))).toBeLessThan(4_000);
  });

  it('find a task that only the database knows in one look', async () => {
    await open();
    const { id } = await house.until(submit());
    work.run(id).resolve('done');
    await house.flushed();
    await house.run(1_000);
    expect(house.overlay.get(id)).toBeUndefined();
    const questions = slowKeys(2_000);
    const answers = await callers();
    expect(answers).toEqual(Array(CALLERS).fill({ id, ms: expect.any(Number) }));
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(4_000);
    expect(questions.asked).toBe(1);
  });

  it('wait for a slot once, together', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1, slotTimeoutMs: 5_000 } } });
    await house.until(house.system.submit('work', { input: 1 }));
    const answers = await callers({ waitForSlot: true });
    expect(answers).toEqual(Array(CALLERS).fill({ code: 'SLOT_TIMEOUT', ms: expect.any(Number) }));
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(6_000);
    expect(house.system.getStats().guard.rejections.slot).toBe(1);
  });

  it('are refused together when the log has no room, and accepted when it has', async () => {
    await open();
    house.disk.fault = { at: house.disk.operations.length + 1, kind: 'ENOSPC', only: ['write'] };
    expect(await callers()).toEqual(Array(CALLERS).fill({ code: 'EVENT_LOG_FULL', outcome: 'none', ms: 0 }));
    expect(house.disk.hasFired).toBe(true);
    await house.run(2_000);
    expect(new Set((await callers()).map((answer) => 'id' in answer && answer.id)).size).toBe(1);
  });

  it('all hear that nobody knows the outcome when the disk failed under the first one', async () => {
    await open();
    house.disk.fault = { at: house.disk.operations.length + 2, kind: 'EIO', only: ['fdatasync'] };
    expect(await callers()).toEqual(Array(CALLERS).fill({ code: 'EVENT_LOG', outcome: 'unknown', ms: 0 }));
    expect(house.disk.hasFired).toBe(true);
  });

  it('are refused by one limit together, and charged once', async () => {
    await open({ guard: { backpressure: { maxTasksPerUserWindow: 1 } } });
    await house.until(submit({ idempotencyKey: 'other', userId: 'ann' }));
    expect(await callers({ userId: 'ann' })).toEqual(Array(CALLERS).fill({ code: 'BACKPRESSURE', ms: 0 }));
    expect(house.system.getStats().guard.rejections.user).toBe(1);
  });

  it('are refused together when the system stops while the first one waits', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1 } } });
    await house.until(house.system.submit('work', { input: 1 }));
    const answers = callers({ waitForSlot: true });
    await settle();
    const stopped = house.system.shutdown({ force: true });
    expect(await answers).toEqual(Array(CALLERS).fill({ code: 'SHUTTING_DOWN', ms: 0 }));
    await house.until(stopped);
  });

  it('of which the first one cancels its task get that task', async () => {
    await open({ guard: { slots: { maxExecutionGlobal: 1 } } });
    await house.until(house.system.submit('work', { input: 1 }));
    const first = submit().then(({ id }) => house.system.cancel({ id }));
    const answers = await callers();
    const { id, status } = await house.until(first);
    expect(status).toBe('cancelled');
    expect(answers).toEqual(Array(CALLERS).fill({ id, ms: expect.any(Number) }));
  });

  it('do not suffer from what is wrong with the first one alone', async () => {
    await open();
    jest.spyOn(house.get<FactPort>(FACT_PORT), 'append').mockRejectedValueOnce(new ValidationError('payload', 'fits no frame'));
    const refused = submit().catch((error: { code: string }) => error.code);
    const answers = await callers();
    expect(await house.until(refused)).toBe('VALIDATION_FAILED');
    expect(new Set(answers.map((answer) => 'id' in answer && answer.id)).size).toBe(1);
  });
});

describe('callers with as many keys as they are', () => {
  it('all fail in one wait while the database cannot be read', async () => {
    await open();
    house.shared.isAway = true;
    slowKeys(2_000);
    const startedAt = house.clock.monotonic();
    const answers = Array.from({ length: 3_000 }, (_, n) =>
      submit({ idempotencyKey: `k${n}` }).catch((error: { code: string }) => error.code),
    );
    expect(new Set(await house.until(Promise.all(answers), 600_000))).toEqual(new Set(['UNAVAILABLE']));
    expect(house.clock.monotonic() - startedAt).toBeLessThan(4_000);
    house.shared.isAway = false;
  });
});
