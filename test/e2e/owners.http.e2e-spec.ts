import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QuickstartServer } from '../support/process/quickstart-server.js';
import { eventually } from '../support/clock/patience.js';

/** Every route of the sample that takes the id of a task. The first test fails when one is missing here. */
const ROUTES = [
  ['GET', 'tasks/:id'],
  ['POST', 'tasks/:id/cancel'],
  ['SSE', 'tasks/:id/events'],
  ['POST', 'dead-letters/:id/retry'],
  ['DELETE', 'dead-letters/:id'],
] as const;
const NOBODY = '01900000-0000-7000-8000-000000000000';
/** What comes down the wire as an id: nothing of it may become a path, a header, or a query. */
const HOSTILE = [
  '..%2f..%2f..%2fetc%2fpasswd',
  '%2e%2e',
  '__proto__',
  'constructor',
  'toString',
  'a%00b',
  'a%0d%0aX-Evil:%20yes',
  'a%E2%80%A8b',
  `${'x'.repeat(3000)}`,
  '%27%20OR%201=1--',
  '%7B%22%24ne%22:1%7D',
];

let folder: string;
let server: QuickstartServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskflow-owners-'));
  server = await QuickstartServer.start(folder);
});
afterAll(async () => {
  await server.kill();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  /** All of them but the date, in the order in which they came. */
  readonly headers: readonly string[];
  readonly body: string;
}
function send(method: string, path: string, headers: Record<string, string>, body?: object): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const json = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
  return new Promise((resolve, reject) => {
    const call = request(`${server.url}api/${path}`, {
      method: method === 'SSE' ? 'GET' : method,
      headers: { ...headers, ...json },
      agent: false,
    });
    call.on('error', reject);
    call.on('response', (response) => {
      let received = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (received += chunk));
      response.on('error', reject);
      response.on('end', () => {
        const pairs = response.rawHeaders.reduce<string[]>(
          (all, each, at) => (at % 2 === 0 ? [...all, each] : [...all.slice(0, -1), `${all.at(-1)}: ${each}`]),
          [],
        );
        resolve({ status: response.statusCode!, headers: pairs.filter((pair) => !pair.startsWith('Date: ')), body: received });
      });
    });
    call.end(text);
  });
}
const as = (user: string): Record<string, string> => ({ 'x-user': user });
const at = (route: string, id: string): string => route.replace(':id', id);

async function submit(kind: string, input: object, key?: string): Promise<string> {
  const answer = await send('POST', `tasks/${kind}`, { ...as('alice'), ...(key === undefined ? {} : { 'idempotency-key': key }) }, input);
  expect(answer.status).toBe(201);
  return (JSON.parse(answer.body) as { id: string }).id;
}
async function inStatus(id: string, status: string): Promise<string> {
  await eventually(
    async () => (JSON.parse((await send('GET', `tasks/${id}`, as('alice'))).body) as { status: string }).status,
    (now) => now === status,
  );
  return id;
}

describe("somebody else's task, over HTTP", () => {
  it('is attacked through every route that takes an id', () => {
    const found = ['tasks', 'dead-letters'].flatMap((name) => {
      const path = fileURLToPath(new URL(`../../sample/01-quickstart/web/${name}.controller.ts`, import.meta.url));
      return [...readFileSync(path, 'utf8').matchAll(/@(?:Task)?(Get|Post|Put|Patch|Delete|Sse)\('(:id[^']*)'[,)]/g)].map(
        ([, method, route]) => `${method!.toUpperCase()} ${name}/${route}`,
      );
    });
    expect(found.sort()).toEqual(ROUTES.map((route) => route.join(' ')).sort());
  });

  it('is the same bytes as a task that never was: waiting, running, ended, dead', async () => {
    const ids = {
      running: await inStatus(await submit('import-rows', { rows: 100_000, batchMs: 60_000 }, 'a-key'), 'running'),
      completed: await inStatus(await submit('send-report', { title: 'Sales' }), 'completed'),
      failed: await inStatus(await submit('charge-card', { cents: 5 }), 'failed'),
    };
    for (const [method, route] of ROUTES) {
      const miss = await send(method, at(route, NOBODY), as('mallory'));
      expect(miss.status).toBe(404);
      for (const [status, id] of Object.entries(ids)) {
        const hit = await send(method, at(route, id), as('mallory'));
        expect([route, status, hit]).toEqual([route, status, miss]);
        const resumed = await send(method, at(route, id), { ...as('mallory'), 'last-event-id': '99' });
        expect([route, status, resumed]).toEqual([route, status, miss]);
      }
    }
    for (const list of ['tasks', 'dead-letters'])
      expect(JSON.parse((await send('GET', list, as('mallory'))).body)).toEqual({ items: [], nextCursor: null });
    // A key of hers that she shares with alice is hers alone, and so is a page of a list.
    const own = await send('POST', 'tasks/send-report', { ...as('mallory'), 'idempotency-key': 'a-key' }, { title: 'Mine' });
    expect(Object.values(ids)).not.toContain((JSON.parse(own.body) as { id: string }).id);
    const cursor = Buffer.from(`${Date.now() + 1e6}.0.${ids.failed}`).toString('base64url');
    const page = JSON.parse((await send('GET', `tasks?cursor=${cursor}`, as('mallory'))).body) as { items: { userId: string }[] };
    expect(page.items.map(({ userId }) => userId)).toEqual(['mallory']);
    expect((await send('GET', `tasks/${ids.running}`, as('alice'))).status).toBe(200);
  });

  it('cannot be reached, nor anything else, by what an id may not be', async () => {
    for (const [method, route] of ROUTES) {
      for (const id of HOSTILE) {
        const { status, headers, body } = await send(method, at(route, id), as('mallory'));
        expect([route, id, [400, 404].includes(status)]).toEqual([route, id, true]);
        expect(headers.some((header) => /evil/i.test(header.split(':')[0]!))).toBe(false);
        expect(body).not.toMatch(/root:|[\u2028\r]|\bat .*\.js:\d+/);
      }
    }
    for (const path of ['..%2f..%2fpackage.json', '%2e%2e%2fapp.module.ts', '..%5cmain.ts', 'index.html%00.js', '__proto__'])
      expect((await fetch(`${server.url}${path}`)).status).toBe(404);
  });
});
