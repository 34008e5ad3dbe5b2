import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { QuickstartServer } from '../support/process/quickstart-server.js';

interface Message {
  readonly id: number;
  readonly type: string;
  readonly payload: any;
}

describe('sample 01-quickstart over HTTP', () => {
  let folder: string;
  let server: QuickstartServer;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskflow-quickstart-'));
    server = await QuickstartServer.start(folder);
  });
  afterEach(async () => {
    await server.kill();
    await rm(folder, { recursive: true, force: true });
  });

  const get = (path: string, headers: Record<string, string> = { 'x-user': 'alice' }): Promise<Response> =>
    fetch(`${server.url}api/${path}`, { headers });
  const submit = async (kind: string, input: object, headers: Record<string, string> = {}): Promise<any> => {
    const response = await fetch(`${server.url}api/tasks/${kind}`, {
      method: 'POST',
      body: JSON.stringify(input),
      headers: { 'content-type': 'application/json', 'x-user': 'alice', ...headers },
    });
    return { status: response.status, ...((await response.json()) as object) };
  };

  /** All messages with data until the server ends the stream. */
  const streamOf = async (id: string, after: number): Promise<Message[]> => {
    const text = await (await get(`tasks/${id}/events`, { 'x-user': 'alice', 'last-event-id': String(after) })).text();
    return [...text.matchAll(/event: (.*)\nid: (\d+)\ndata: (.*)\n/g)].map(([, type = '', seq, data = '']) => ({
      type,
      id: Number(seq),
      payload: JSON.parse(data).payload,
    }));
  };

  it('asks who is calling, and hides the tasks of others', async () => {
    expect((await get('tasks', {})).status).toBe(401);
    expect((await get('tasks', { 'x-user': 'alice\u00e9' })).status).toBe(401);
    const { id } = await submit('send-report', { title: 'Sales' });
    expect((await get(`tasks/${id}`)).status).toBe(200);
    expect((await get(`tasks/${id}`, { cookie: 'theme=dark; user=alice' })).status).toBe(200);
    expect((await get(`tasks/${id}?user=bob`, {})).status).toBe(404);
    expect((await get(`tasks/${id}/events?user=bob`, {})).status).toBe(404);
    expect((await get(`tasks?user=bob`, {})).status).toBe(200);
  });

  it('refuses input that the DTO does not pass, and positions that are none', async () => {
    expect(await submit('import-rows', { rows: 0 })).toMatchObject({ status: 400, field: 'input' });
    const { id } = await submit('send-report', { title: 'Sales' });
    expect((await get(`tasks/${id}/events?lastEventId=x`)).status).toBe(400);
    expect((await get(`tasks/${id}/events?lastEventId=99`)).status).toBe(400);
  });

  it('makes one task of a request that is sent twice, and ends its stream for good', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(() => submit('send-report', { title: 'Sales' }, { 'idempotency-key': 'click-1' })),
    );
    expect(second.id).toBe(first.id);
    const messages = await streamOf(first.id, 0);
    expect(messages.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(messages.at(-1)).toMatchObject({ type: 'complete', payload: { result: { title: 'Sales' } } });
    expect((await get(`tasks/${first.id}/events`, { 'x-user': 'alice', 'last-event-id': '6' })).status).toBe(204);
  });

  it('releases a long import on SIGTERM, tells the stream to come back, and goes on at the next start', async () => {
    const { id } = await submit('import-rows', { rows: 100 });
    const before = streamOf(id, 0);
    expect(await server.kill('SIGTERM')).toBe('SIGTERM');
    const seen = await before;
    expect(seen.at(-1)).toMatchObject({ type: 'retry', payload: { reason: 'shutdown' } });

    await server.start();
    const after = await streamOf(id, seen.length);
    const all = [...seen, ...after];
    expect(all.map((message) => message.id)).toEqual(all.map((_, at) => at + 1));
    expect(all.filter(({ type }) => type === 'progress').map(({ payload }) => payload.done)).toEqual(
      Array.from({ length: 20 }, (_, at) => (at + 1) * 5),
    );
    expect(all.find(({ type }) => type === 'custom')).toMatchObject({ payload: { reason: 'shutdown' } });
    expect(all.at(-1)).toMatchObject({ type: 'complete', payload: { result: { rows: 100 } } });
  });
});
