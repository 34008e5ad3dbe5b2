import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = `import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
const app = await NestFactory.create(AppModule, { logger: false });
await app.listen(0, '127.0.0.1');
console.log(app.getHttpServer().address().port);`;

let folder: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  mkdirSync(join(root, '.test-tmp'), { recursive: true });
  folder = mkdtempSync(join(root, '.test-tmp', 'getting-started-'));
  const page = readFileSync(join(root, 'docs/getting-started.md'), 'utf8');
  const code = /^```ts\n(\/\/ src\/app\.module\.ts\n.*?)^```/ms.exec(page)![1]!;
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
    },
  });
  writeFileSync(join(folder, 'app.module.js'), outputText);
  writeFileSync(join(folder, 'main.js'), MAIN);
});
afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

/** @returns where it listens. */
async function start(): Promise<string> {
  child = spawn(process.execPath, ['main.js'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`The application ended with ${String(code)}.`)));
  ended.catch(() => undefined);
  const [port] = (await Promise.race([once(createInterface(child.stdout!), 'line'), ended])) as [string];
  return `http://127.0.0.1:${port}/imports`;
}

/** Ids of a stream, until it has one that is at least `last`, or ends. */
async function idsUntil(url: string, last: number): Promise<number[]> {
  const leave = new AbortController();
  const answer = await fetch(url, { signal: leave.signal });
  const ids: number[] = [];
  let text = '';
  for await (const chunk of answer.body!) {
    text += Buffer.from(chunk).toString();
    ids.splice(0, ids.length, ...[...text.matchAll(/^id: (\d+)\n/gm)].map(([, id]) => Number(id)));
    if (ids.some((id) => id >= last)) break;
  }
  leave.abort();
  return ids;
}

describe('The application of docs/getting-started.md', () => {
  it('runs as it is pasted: its task survives kill -9, and its stream goes on where it stopped', async () => {
    let url = await start();
    const headers = { 'x-user': 'alice', 'content-type': 'application/json' };
    const submit = (body: object): Promise<Response> => fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    expect((await fetch(url, { method: 'POST' })).status).toBe(401);
    expect((await submit({ rows: 0 })).status).toBe(400);
    const answer = await submit({ rows: 12 });
    expect(answer.status).toBe(201);
    const { id } = (await answer.json()) as { id: string };
    const seen = await idsUntil(`${url}/${id}/events?user=alice`, 6);
    expect(seen.slice(0, 6)).toEqual([1, 2, 3, 4, 5, 6]);

    child!.kill('SIGKILL');
    await once(child!, 'exit');
    url = await start();
    const events = (position: number): string => `${url}/${id}/events?user=alice&lastEventId=${position}`;
    const rest = await idsUntil(events(6), Number.POSITIVE_INFINITY);
    expect(rest[0]).toBe(7);
    expect(rest).toEqual(rest.map((_, at) => 7 + at));
    const task = (await (await fetch(`${url}/${id}`, { headers })).json()) as object;
    expect(task).toMatchObject({ status: 'completed', result: { rows: 12 }, progress: { row: 12, of: 12 } });
    expect((await fetch(events(rest.at(-1)!))).status).toBe(204);
    expect((await fetch(`${url}/${id}`, { headers: { 'x-user': 'mallory' } })).status).toBe(404);
  });
});
