import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { DATABASES, type TestDatabase } from '../support/database/test-databases.js';

const SCRIPT = fileURLToPath(new URL('./starting-process.mjs', import.meta.url));
const PROCESSES = 3;
const ROUNDS = 2;

async function ask(child: ChildProcess, step: 'start' | 'run' | 'stop'): Promise<unknown> {
  child.send(step);
  return answerOf(child);
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(([code]) => ({ error: `The process ended: ${String(code)}` }));
  const answer = (await Promise.race([once(child, 'message').then(([message]) => message as object), ended])) as {
    value?: unknown;
    error?: string;
  };
  return answer.error ?? answer.value;
}

for (const { name, available, create } of DATABASES) {
  (available ? describe : describe.skip)(`Processes that start together on an empty database: ${name}`, () => {
    let database: TestDatabase;
    let folder: string;
    let children: ChildProcess[] = [];
    beforeEach(async () => {
      database = await create();
      folder = await mkdtemp(join(tmpdir(), 'taskflow-start-'));
    });
    afterEach(async () => {
      for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
      children = [];
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    });

    it.each(Array.from({ length: ROUNDS }, (_, at) => at + 1))('migrate it once, and all of them work: round %i', async () => {
      children = Array.from({ length: PROCESSES }, () => fork(SCRIPT, [JSON.stringify({ folder, repository: database.options })]));
      expect(await Promise.all(children.map(answerOf))).toEqual(children.map(() => 'ready'));
      expect(await Promise.all(children.map((child) => ask(child, 'start')))).toEqual(children.map(() => 'running'));
      expect(await Promise.all(children.map((child) => ask(child, 'run')))).toEqual(children.map((child) => child.pid! * 2));
      expect(await Promise.all(children.map((child) => ask(child, 'stop')))).toEqual(children.map(() => true));
      const host = await new DataSource(database.options as unknown as DataSourceOptions).initialize();
      const migrations = await host.query('SELECT name FROM taskflow_migrations');
      const rows: { status: string }[] = await host.query('SELECT status FROM taskflow_tasks');
      const logs: unknown[] = await host.query('SELECT log_id FROM taskflow_cursor');
      await host.destroy();
      expect(migrations).toHaveLength(3);
      expect(rows.map(({ status }) => status)).toEqual(children.map(() => 'completed'));
      expect(logs).toHaveLength(PROCESSES);
    });
  });
}
