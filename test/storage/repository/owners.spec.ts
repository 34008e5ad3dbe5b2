import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import sqlite3 from 'sqlite3';
import type { Task } from '../../../lib/contracts/task.interface.js';
import { createTaskSystem } from '../../../lib/create-task-system.js';
import type { TaskSystem } from '../../../lib/task-system.js';
import { answerOf, OF_A_TASK, refsOf } from '../../support/oracle/owner-attacks.js';
import { DATABASES, type TestDatabase } from '../../support/database/test-databases.js';

Logger.overrideLogger(false);

const silent = { log() {}, error() {}, warn() {}, debug() {}, verbose() {} };
const RARELY_MS = 3_600_000;

/** Looks, with a turn of the event loop between two of them, in which nothing was asked: what follows an answer comes in the next turns. */
const QUIET_LOOKS = 50;

/** Statements as the driver gets them, with how many values each has. */
const statements: string[] = [];
/** Of those, the ones without an answer. */
let unanswered = 0;
function record(of: object, method: string): () => void {
  const methods = of as Record<string, (...args: unknown[]) => unknown>;
  const original = methods[method]!;
  methods[method] = function (this: unknown, ...args: unknown[]) {
    const [first, values] = args;
    const text = typeof first === 'string' ? first : (first as { text?: string }).text;
    if (text === undefined) return original.apply(this, args);
    statements.push(`${Array.isArray(values) ? values.length : 0} values: ${text}`);
    unanswered++;
    const callback = args.at(-1);
    if (typeof callback !== 'function') return answered(original.apply(this, args));
    const told = function (this: unknown, ...answer: unknown[]): unknown {
      unanswered--;
      return (callback as (...answer: unknown[]) => unknown).apply(this, answer);
    };
    return original.apply(this, [...args.slice(0, -1), told]);
  };
  return () => void (methods[method] = original);
}

function answered(answer: unknown): unknown {
  void Promise.resolve(answer)
    .catch(() => undefined)
    .then(() => unanswered--);
  return answer;
}

for (const { name, available, create } of DATABASES) {
  (available ? describe : describe.skip)(`A task of somebody else, on ${name}`, () => {
    let database: TestDatabase;
    let folder: string;
    let system: TaskSystem;
    let tasks: Record<string, Task>;
    const restores: (() => void)[] = [];

    beforeAll(async () => {
      database = await create();
      folder = await mkdtemp(join(tmpdir(), 'taskflow-owners-'));
      for (const method of ['all', 'get', 'run', 'exec']) restores.push(record(sqlite3.Database.prototype, method));
      restores.push(record(pg.Client.prototype, 'query'));
      system = await createTaskSystem({
        repository: database.options,
        eventLog: { eventLogPath: join(folder, 'events.log'), minFreeBytes: 0 },
        flush: { worker: 'inline', flushIntervalMs: 10 },
        // Nothing is asked but what a caller asks for.
        recovery: { scanIntervalMs: RARELY_MS, staleThresholdMs: 3 * RARELY_MS },
        retention: { sweepIntervalMs: RARELY_MS },
        executor: { heartbeatIntervalMs: RARELY_MS },
        hooks: { logger: silent },
      });
      const started = new Set<string>();
      system.defineTask('work', {
        handler: async (input: string, { signal }) => {
          started.add(input);
          if (input === 'fails') throw new Error('no');
          if (input === 'runs') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
          return { secret: 1 };
        },
        retry: { maxAttempts: 1 },
      });
      await system.initialize();
      const submit = (input: string, more: object = {}): Promise<Task> =>
        system.submit('work', { input, userId: 'ann', idempotencyKey: `key-${input}`, ...more });
      tasks = {
        'that has ended': await submit('ends'),
        'that is a dead letter': await submit('fails'),
        'that runs': await submit('runs'),
        'that waits': await submit('waits', { delayMs: RARELY_MS }),
      };
      await system.result(tasks['that has ended']!);
      await system.result(tasks['that is a dead letter']!).catch(() => undefined);
      await quiet();
      expect([...started].sort()).toEqual(['ends', 'fails', 'runs']);
    });
    afterAll(async () => {
      await system.shutdown({ force: true, timeoutMs: 0 });
      for (const restore of restores) restore();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    });

    /** Until all is in the rows, and nothing is asked any more. */
    async function quiet(): Promise<void> {
      for (let [last, looks] = [-1, 0]; looks < QUIET_LOOKS; looks++) {
        const { flush, eventLog } = system.getStats();
        if (flush.appliedSeq < eventLog.durableSeq || unanswered > 0 || statements.length !== last) looks = 0;
        last = statements.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }

    it.each(Object.entries(OF_A_TASK))('costs the same statements as one that never was: %s', async (_name, call) => {
      const ask = async (...[ref, options]: [Parameters<typeof call>[1], Parameters<typeof call>[2]]) => {
        statements.length = 0;
        const answer = await answerOf(call(system, ref, options));
        return { answer, statements: [...statements].sort() };
      };
      for (const [where, task] of Object.entries(tasks)) {
        for (const [kind, hit, miss] of refsOf(task)) {
          for (const userId of ['eve', null]) {
            const plain = await ask(miss, { userId });
            expect(plain.statements.length).toBeGreaterThan(0);
            expect([where, kind, userId, await ask(hit, { userId })]).toEqual([where, kind, userId, plain]);
          }
        }
      }
    });
  });
}
