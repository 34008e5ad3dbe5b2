import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { TaskRepository } from 'nestjs-taskflow';
import { describeRepository } from 'nestjs-taskflow/testing/repository';
import { PATIENCE_MS } from '../support/clock/patience.js';

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly out: string;
  readonly errors: string;
}

/** Runs a compiled sample (`npm run sample:build`) to its end. */
function run(sample: string): Promise<Outcome> {
  const main = fileURLToPath(new URL(`../../.sample-dist/${sample}/main.js`, import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [main], { timeout: PATIENCE_MS }, (error, out, errors) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), out, errors });
    });
  });
}

describe('sample 02-standalone', () => {
  it('submits, watches, fails, shuts down and exits by itself', async () => {
    const { code, out, errors } = await run('02-standalone');
    expect(code).toBe(0);
    // The failure that it shows leaves its trace in the log, and nothing else does.
    expect(errors.match(/ERROR/g)).toEqual(['ERROR']);
    expect(errors).toMatch(/Task call-service \(\S+\) failed at attempt 2 of 2\. .*\nError: The service does not answer\.\n {4}at /);
    expect(
      out
        .split('\n')
        .filter((line) => /^ {2}\d/.test(line))
        .map((line) => line.trim().split(' ').slice(0, 2).join(' ')),
    ).toEqual(['1 created', '2 start', '3 progress', '4 progress', '5 progress', '6 progress', '7 progress', '8 progress', '9 complete']);
    expect(out).toContain('result: 6 words');
    expect(out).toContain('the same key twice: one task');
    expect(out).toContain('call-service failed after 2 attempts: The service does not answer.');
    expect(out).toContain('dead letters: call-service');
    expect(out).toMatch(/shut down cleanly\n$/);
  });
});

describe('sample 03-survives-kill', () => {
  it('goes on after SIGKILL at 40 % without a gap in rows or stream', async () => {
    const { code, out, errors } = await run('03-survives-kill');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    // The kill fired, in the middle of the import.
    expect(out).toMatch(/20\/50\nworker ended: SIGKILL\n/);
    expect(out.match(/^ +\d+ recovered$/gm)).toHaveLength(1);
    const seqs = [...out.matchAll(/^ +(\d+) /gm)].map(([, seq]) => Number(seq));
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
    expect(out).toMatch(/survived: seq 1 to 55 without a gap, 50 rows, each once\n$/);
  });
});

describe('sample 06-custom-repository', () => {
  it('keeps tasks in its journal over a restart', async () => {
    const { code, out, errors } = await run('06-custom-repository');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    const said = out.split('\n').filter((line) => line !== '' && !line.includes('[Nest]'));
    expect(said).toEqual(['measured: 7', 'after a restart: completed, 7', 'all tasks: later created, journal completed']);
  });

  const built = new URL('../../.sample-dist/06-custom-repository/journal.repository.js', import.meta.url).href;
  const journalAt = async (path: string): Promise<TaskRepository> => {
    const { JournalRepository } = (await import(built)) as { JournalRepository: new (path: string) => TaskRepository };
    return new JournalRepository(path);
  };
  const folders = new Map<TaskRepository, string>();
  const create = async (): Promise<TaskRepository> => {
    const folder = await mkdtemp(join(tmpdir(), 'taskflow-journal-'));
    const repository = await journalAt(join(folder, 'journal.jsonl'));
    folders.set(repository, folder);
    return repository;
  };
  describeRepository(
    'JournalRepository',
    { describe, it },
    {
      create,
      // As after a crash in the middle of a write.
      async reopen(repository) {
        const path = join(folders.get(repository)!, 'journal.jsonl');
        await appendFile(path, '{"seq":99,"type":"crea');
        return journalAt(path);
      },
      dispose: (repository) => rm(folders.get(repository)!, { recursive: true, force: true }),
    },
  );
});
