import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { OwnerOption, TaskRef } from '../../../lib/contracts/task-system.interface.js';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { DeadLetterService } from '../../../lib/dead-letters/dead-letter.service.js';
import { TaskSystem } from '../../../lib/task-system.js';
import { answerOf, type Call, OF_A_TASK, refsOf } from '../../support/oracle/owner-attacks.js';
import { HandDrivenWork } from '../../support/doubles/hand-driven-work.js';
import { WholeSystem } from '../../support/doubles/whole-system.js';

const OF_AN_OWNER: Record<string, Call> = {
  'TaskSystem.submit': (system, _ref, options) => system.submit('work', { input: 1, ...options }),
  'TaskSystem.list': (system, _ref, options) => system.list(options),
  'DeadLetterService.list': (system, _ref, options) => system.deadLetters.list(options),
};
/** For whoever runs the process, not for its users. */
const OF_THE_HOST = [
  'TaskSystem.submitMany',
  'TaskSystem.initialize',
  'TaskSystem.defineTask',
  'TaskSystem.getStats',
  'TaskSystem.shutdown',
].concat(['retryAll', 'visible', 'size'].map((name) => `DeadLetterService.${name}`));
const EVERY = Object.entries({ ...OF_A_TASK, ...OF_AN_OWNER });

const sourceOf = (file: string): string => readFileSync(new URL(`../../../lib/${file}`, import.meta.url), 'utf8');
function publicMethods(type: { readonly name: string; readonly prototype: object }, file: string): string[] {
  const hidden = new Set([...sourceOf(file).matchAll(/^ {2}private (?:async )?(\w+)\(/gm)].map((match) => match[1]));
  return Object.getOwnPropertyNames(type.prototype)
    .filter((name) => name !== 'constructor' && !hidden.has(name))
    .map((name) => `${type.name}.${name}`);
}

let house: WholeSystem;
let work: HandDrivenWork;
let calls: string[];

beforeEach(async () => {
  house = new WholeSystem();
  work = new HandDrivenWork();
  house.definitions.set('work', work.definition);
  await house.start();
  calls = [];
  const { repository } = house.now;
  for (const name of ['findById', 'findByIdempotencyKey', 'findStaleTasks', 'getEvents', 'findEnded', 'list'] as const) {
    const original = repository[name].bind(repository) as (...args: unknown[]) => never;
    jest.spyOn(repository, name).mockImplementation((...args: unknown[]) => {
      calls.push(name);
      return original(...args);
    });
  }
});
afterEach(async () => {
  house.shared.isAway = false;
  await house.stop();
});

interface Answer {
  readonly outcome: unknown;
  readonly calls: readonly string[];
}
/** What a caller gets to see: the value, or all of the error; and what the repository was asked for it. */
async function ask(call: Call, ref: TaskRef, options: OwnerOption): Promise<Answer> {
  calls.length = 0;
  const outcome = await house.until(answerOf(call(house.system, ref, options)));
  return { outcome, calls: [...calls] };
}

/** Where a task can be known: memory alone, memory and rows, rows alone; in every state. */
const PLACES: Record<string, () => Promise<Task>> = {
  'that waits, in memory': async () =>
    house.until(house.system.submit('work', { input: 1, userId: 'ann', idempotencyKey: 'k', delayMs: 1e7 })),
  'that runs': async () => {
    const task = await house.until(house.system.submit('work', { input: 1, userId: 'ann', idempotencyKey: 'k' }));
    await house.flushed();
    expect(work.runs.has(task.id)).toBe(true);
    return task;
  },
  'that has ended, in rows': async () => {
    const task = await house.until(house.system.submit('work', { input: 1, userId: 'ann', idempotencyKey: 'k' }));
    work.run(task.id).resolve({ secret: 1 });
    await house.flushed();
    expect(house.overlay.get(task.id)).toBeUndefined();
    return task;
  },
  'that is a dead letter': async () => {
    const task = await house.until(house.system.submit('work', { input: 1, userId: 'ann', idempotencyKey: 'k', maxAttempts: 1 }));
    work.run(task.id).reject(new Error('no'));
    await house.flushed();
    expect(await house.until(house.system.getStatus(task))).toMatchObject({ status: 'failed' });
    return task;
  },
};

describe('A method that takes a user id', () => {
  it('is in the tables of this file, whatever was added', () => {
    const known = [...Object.keys(OF_A_TASK), ...Object.keys(OF_AN_OWNER), ...OF_THE_HOST];
    const found = [
      ...publicMethods(TaskSystem, 'task-system.ts'),
      ...publicMethods(DeadLetterService, 'dead-letters/dead-letter.service.ts'),
    ];
    expect(found.sort()).toEqual(known.sort());
  });

  it.each(EVERY)('%s refuses a user id that is undefined, empty, overlong, no text, or has control characters', async (_name, call) => {
    const task = await PLACES['that waits, in memory']!();
    const before = house.durableText();
    const unfit = [
      undefined,
      '',
      'x'.repeat(257),
      'a\u0000b',
      'a\nb',
      'a\rb',
      'a\u001b[2Jb',
      'a\u007fb',
      'a\u0085b',
      'a\u2028b',
      'a\ud800',
      7,
      {},
      [],
    ];
    for (const userId of unfit) {
      const { outcome, calls: made } = await ask(call, { taskId: task.id }, { userId: userId as string });
      // Undefined is a guard that is missing: a visitor is told nothing of it.
      const status = userId === undefined ? 500 : 400;
      expect([userId, outcome]).toEqual([
        userId,
        expect.objectContaining({ name: 'ValidationError', message: expect.stringContaining('userId'), status }),
      ]);
      const body = status === 500 ? { statusCode: 500, message: 'Internal Server Error' } : expect.objectContaining({ field: 'userId' });
      expect(outcome).toMatchObject({ response: body });
      expect(made).toEqual([]);
    }
    expect(house.durableText()).toBe(before);
  });
});

describe.each(Object.entries(PLACES))('A task of somebody else %s', (_place, make) => {
  it.each(Object.entries(OF_A_TASK))(
    'is a plain miss in every method: %s, same answer, same calls of the repository',
    async (_name, call) => {
      const task = await make();
      const before = house.durableText();
      for (const [kind, hit, miss] of refsOf(task)) {
        for (const userId of ['eve', null]) {
          const plain = await ask(call, miss, { userId });
          expect(plain.calls.length).toBeGreaterThan(0);
          expect([kind, await ask(call, hit, { userId })]).toEqual([kind, plain]);
        }
      }
      expect(house.durableText()).toBe(before);
    },
  );

  it.each(Object.entries(OF_A_TASK))('is as unknowable as any other while the database is away: %s', async (_name, call) => {
    const task = await make();
    house.shared.isAway = true;
    for (const [kind, hit, miss] of refsOf(task)) {
      const plain = await ask(call, miss, { userId: 'eve' });
      expect(plain.outcome).toMatchObject({ name: 'RepositoryError', status: 503 });
      expect([kind, await ask(call, hit, { userId: 'eve' })]).toEqual([kind, plain]);
    }
  });
});
