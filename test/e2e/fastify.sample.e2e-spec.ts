import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { eventually } from '../support/clock/patience.js';
import { QuickstartServer } from '../support/process/quickstart-server.js';

let folder: string;
let server: QuickstartServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskflow-fastify-'));
  process.env['STEP_MS'] = '1000'; // the kill comes in the middle, however busy the machine is
  server = await QuickstartServer.start(folder, '05-fastify');
});
afterEach(async () => {
  delete process.env['STEP_MS'];
  await server.kill();
  await rm(folder, { recursive: true, force: true });
});

it('sample 05-fastify counts on over kill -9, and both of its controllers show the same task to its owner alone', async () => {
  const call = async (path: string, user: string | undefined, more: RequestInit = {}): Promise<{ status: number; text: string }> => {
    const headers = { ...(user === undefined ? {} : { 'x-user': user }), 'content-type': 'application/json' };
    const answer = await fetch(`${server.url}${path}`, { headers, ...more });
    return { status: answer.status, text: await answer.text() };
  };
  const post = { method: 'POST', body: JSON.stringify({ to: 50 }) };
  expect((await call('counts', undefined, post)).status).toBe(401);
  const { id } = JSON.parse((await call('counts', 'alice', post)).text) as { id: string };
  const taskNow = async (): Promise<any> => JSON.parse((await call(`tasks/${id}`, 'alice', {})).text);
  await eventually(taskNow, ({ progress }) => (progress?.n ?? 0) >= 2);
  await server.kill('SIGKILL');
  process.env['STEP_MS'] = '1';
  await server.start();
  const { status, text } = await call(`counts/${id}/events`, 'alice');
  expect(status).toBe(200);
  expect([...text.matchAll(/"payload":\{"n":(\d+)\}/g)].map(([, n]) => Number(n))).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  expect(await taskNow()).toMatchObject({ status: 'completed', fence: 2, result: { counted: 50 } });
  for (const path of [`counts/${id}/events`, `tasks/${id}`, `tasks/${id}/events`]) expect((await call(path, 'mallory')).status).toBe(404);
});
