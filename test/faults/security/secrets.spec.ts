import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { inspect, promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTaskSystem, type TaskflowOptionsInput, type TaskSystem } from 'nestjs-taskflow';
import { DataSource } from 'typeorm';
import { MemoryTaskRepository } from '../../support/doubles/memory-task-repository.js';
import { eventually } from '../../support/clock/patience.js';
import { TestFolder } from '../../support/process/task-system.js';

const PASSWORD = 'hush-password';
const TOKEN = 'hush-token';
const PAYLOAD = 'hush-payload';
const USER = 'hush-user';
const KEY = 'hush-key';
/** Escapes, line ends and a line that looks like one of ours: what forges a log. */
const FORGERY = 'x\n[Nest] 1 - ERROR [Taskflow] hush-forged\u001b[31m\r\n';

let folder: TestFolder;
let said: string[];
beforeEach(async () => {
  folder = await TestFolder.create();
  said = [];
});
afterEach(() => folder.dispose());

const all = (value: unknown): string =>
  inspect(value, { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null, breakLength: Infinity });
/** Every line of every level, errors with their stacks, causes and hidden members. */
const hooks = () => {
  const keep = (...line: unknown[]): void => void said.push(line.map((each) => (typeof each === 'string' ? each : all(each))).join(' '));
  return { logger: { log: keep, error: keep, warn: keep, debug: keep, verbose: keep, fatal: keep } };
};
const options = (more: TaskflowOptionsInput = {}): TaskflowOptionsInput => folder.options({ hooks: hooks(), ...more });

/** A port at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** A system whose database cannot be had: everything that it says and throws meanwhile. */
async function withoutDatabase(
  repository: TaskflowOptionsInput['repository'],
  worker: 'process' | 'inline',
): Promise<{ thrown: unknown[]; system: TaskSystem }> {
  const system = await createTaskSystem(options({ repository, flush: { worker, flushIntervalMs: 20, circuitBreakerThreshold: 1 } }));
  system.defineTask('one', { handler: async () => 1 });
  await system.initialize();
  const thrown = [
    await refusal(system.submit('one', { input: PAYLOAD, userId: USER, idempotencyKey: KEY })),
    await refusal(system.getStatus(KEY, { userId: USER })),
    await refusal(system.list()),
    await refusal(system.deadLetters.list()),
  ];
  expect(await system.submit('one', { input: PAYLOAD, userId: USER })).toMatchObject({ status: 'created' });
  await eventually(
    () => said.some((line) => /The database is away/.test(line)),
    (isSaid) => isSaid,
  );
  return { thrown, system };
}

describe('A secret of the database', () => {
  it.each(['inline', 'process'] as const)(
    'is in no line, error or statistic while the database is away (flush worker: %s)',
    async (worker) => {
      const port = await closedPort();
      const base = { type: 'postgres', host: '127.0.0.1', port, username: 'app', password: PASSWORD, database: 'app' } as const;
      const { thrown, system } = await withoutDatabase(base, worker);
      const pid = system.getStats().flush.workerPid;
      if (worker === 'process') {
        expect(pid).not.toBeNull();
        // Not in its arguments or environment either, which every process of the user may read.
        for (const file of ['cmdline', 'environ']) expect(await readFile(`/proc/${pid}/${file}`, 'utf8')).not.toContain(PASSWORD);
      }
      thrown.push(system.getStats());
      await system.shutdown({ force: true, timeoutMs: 0 });
      expect(thrown.slice(0, 4).every((error) => (error as { name: string }).name === 'RepositoryError')).toBe(true);
      expect([...said, all(thrown)].filter((text) => /hush/.test(text))).toEqual([]);
    },
  );

  it('is in nothing that is said of a URL, or of a connector that fails', async () => {
    const port = await closedPort();
    const connector = {
      host: '127.0.0.1',
      port,
      username: 'app',
      database: 'app',
      ssl: false,
      password: async (): Promise<string> => {
        throw new Error(`the token ${TOKEN} has expired`);
      },
    };
    for (const repository of [
      { type: 'postgres', url: `postgres://app:${PASSWORD}@127.0.0.1:${port}/app` },
      { type: 'lakebase', connector },
    ] as const) {
      said = [];
      const { thrown, system } = await withoutDatabase(repository, 'inline');
      await system.shutdown({ force: true, timeoutMs: 0 });
      expect(said.length).toBeGreaterThan(0);
      expect([...said, all(thrown)].filter((text) => /hush/.test(text))).toEqual([]);
      await folder.dispose();
      folder = await TestFolder.create();
    }
  });

  it('is in nothing that the command line prints', async () => {
    const system = await folder.system();
    await system.initialize();
    await system.shutdown();
    const cli = fileURLToPath(new URL('../../../dist/cli/taskflow.js', import.meta.url));
    const url = `postgres://app:${PASSWORD}@127.0.0.1:${await closedPort()}/app`;
    for (const command of ['inspect', 'verify', 'retry-dead']) {
      const args = [cli, 'log', command, folder.path, '--url', url];
      const answer = await promisify(execFile)(process.execPath, args).catch(
        (error: { stdout: string; stderr: string; code: number }) => error,
      );
      expect(answer).toMatchObject({ code: 1 });
      expect(`${answer.stdout}${answer.stderr}`).not.toBe('');
      expect(`${answer.stdout}${answer.stderr}`).not.toContain('hush');
    }
  });

  it('is in no complaint about the options', async () => {
    const wrong = [
      { repository: { type: 'postgress', password: PASSWORD } },
      { repository: { type: 'sqlite', database: 7, password: PASSWORD } },
      { eventLog: { eventLogPath: [PASSWORD] } },
      { executor: { [PASSWORD.slice(0, 0)]: PASSWORD } },
    ];
    for (const each of wrong) {
      const error = await refusal(createTaskSystem(each as never));
      expect(all(error)).toContain('ConfigValidationError');
      expect(all(error)).not.toContain(PASSWORD);
    }
  });
});

describe('What users gave', () => {
  it('is in no line when handlers fail, time out or ignore their signal, and what they throw forges no line of a log', async () => {
    const system = await createTaskSystem(options({ shutdown: { timeoutMs: 0, forceKillTimeoutMs: 20 } }));
    system.defineTask('fail', {
      retry: { maxAttempts: 2, initialDelayMs: 1 },
      handler: async () => {
        throw Object.assign(new Error(`failed ${FORGERY}`, { cause: new Error(FORGERY) }), { code: FORGERY, name: FORGERY });
      },
    });
    system.defineTask('hang', { timeoutMs: 20, retry: { maxAttempts: 1 }, handler: () => new Promise(() => undefined) });
    system.defineTask('bad', { retry: { maxAttempts: 1 }, handler: async () => ({ big: 1n, text: PAYLOAD }) });
    await system.initialize();
    for (const name of ['fail', 'hang', 'bad']) {
      const task = await system.submit(name, { input: PAYLOAD, userId: USER, idempotencyKey: KEY + name, tags: [KEY] });
      await expect(system.result(task)).rejects.toMatchObject({ name: 'TaskFailedError' });
    }
    for (const name of [FORGERY, 'x'.repeat(100_000), `nobody ${FORGERY}`]) {
      const error = (await refusal(system.submit(name, { input: 1 }))) as Error;
      expect([error.name, error.message.includes('hush'), error.message.length < 500]).toEqual(['ValidationError', false, true]);
    }
    await refusal(system.submit('fail', { input: { deep: PAYLOAD }, userId: USER, idempotencyKey: `${KEY}fail` }));
    await system.shutdown();
    expect(said.filter((line) => /hush-(?!forged)/.test(line))).toEqual([]);
    const forged = said.filter((line) => line.includes('hush-forged'));
    expect(forged.length).toBeGreaterThan(1);
    for (const line of forged.flatMap((text) => text.split('\n'))) {
      expect(line).not.toMatch(/^\s*\[Nest\]/);
      expect(line).not.toMatch(/\p{Cc}/u);
    }
  });

  it('is in no line, and in no reason that is kept, when the database refuses a row and quotes it', async () => {
    const system = await createTaskSystem(options());
    system.defineTask('one', { handler: async () => 1 });
    await system.initialize();
    const direct = await new DataSource({ type: 'sqlite', database: folder.file('tasks.db') }).initialize();
    await direct.query(
      `CREATE TRIGGER refuse BEFORE INSERT ON taskflow_tasks WHEN NEW.user_id = '${USER}' BEGIN SELECT RAISE(ABORT, 'no: hush-payload hush-user'); END`,
    );
    await system.result(await system.submit('one', { input: PAYLOAD, userId: USER, idempotencyKey: KEY }));
    await eventually(
      () => system.getStats().flush.deadEntries,
      (count) => count === 3,
    );
    const reasons = (await direct.query('SELECT DISTINCT "reason" FROM taskflow_dead_entries')) as { reason: string }[];
    await direct.destroy();
    await system.shutdown();
    expect(said.some((line) => line.includes('SQLITE_CONSTRAINT'))).toBe(true);
    expect([...said, ...reasons.map(({ reason }) => reason)].filter((line) => /hush/.test(line))).toEqual([]);
  });

  it('is in no line and no error when a custom repository throws it, whatever code it gives it', async () => {
    const repository = new MemoryTaskRepository();
    let thrown = 0;
    const fail = (code: string | undefined) => async (): Promise<never> => {
      thrown++;
      throw Object.assign(new Error(`insert of ${PAYLOAD} by ${USER} with ${TOKEN} failed`), code === undefined ? {} : { code });
    };
    const system = await createTaskSystem(
      options({ repository: { type: 'custom', repository }, flush: { flushIntervalMs: 20, circuitBreakerThreshold: 1 } }),
    );
    system.defineTask('one', { handler: async () => 1 });
    await system.initialize();
    const errors: unknown[] = [];
    for (const code of [undefined, 'E_DB', 'DB_ERROR', 'ER_DUP_ENTRY', 'P2002x']) {
      repository.executeBatch = fail(code);
      repository.findById = fail(code);
      repository.findByIdempotencyKey = fail(code);
      const before = thrown;
      errors.push(await refusal(system.submit('one', { input: PAYLOAD, userId: USER, idempotencyKey: KEY })));
      errors.push(await refusal(system.getStatus({ taskId: KEY })));
      await system.submit('one', { input: PAYLOAD });
      await eventually(
        () => thrown,
        (count) => count > before + 2,
      );
    }
    await system.shutdown({ force: true, timeoutMs: 0 });
    expect(errors.every((error) => (error as { name: string }).name === 'RepositoryError')).toBe(true);
    expect(said.length).toBeGreaterThan(0);
    expect([...said, ...errors.map(all)].filter((text) => /hush/.test(text))).toEqual([]);
  });
});
