import { afterEach, describe, expect, it } from '@jest/globals';
import { EventSource } from 'eventsource';
import { HttpHouse } from './http-house.js';

/** Longer than any test may take: whoever waits for a connection to idle out is found by that. */
const IDLE_MS = 3_600_000;
const ERROR = { name: 'Error', message: 'no', retryable: false };
let house: HttpHouse;
afterEach(() => house.close());

interface Received {
  readonly id: string | undefined;
  readonly name: string;
  readonly data: string;
}
/** What a browser has of these bytes, as the standard says: an event that no empty line has ended yet is not there, nor is its id. */
function received(bytes: Buffer): { readonly events: readonly Received[]; readonly lastId: string | undefined } {
  const lines = new TextDecoder().decode(bytes).split(/\r\n|\n|\r/);
  lines.pop(); // not ended
  const events: Received[] = [];
  let [id, lastId, name, data]: (string | undefined)[] = [];
  for (const line of lines) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line)!;
    if (line === '') {
      lastId = id;
      if (data !== undefined) events.push({ id, name: name ?? 'message', data });
      [name, data] = [undefined, undefined];
    } else if (field === 'id') id = value;
    else if (field === 'event') name = value;
    else if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
  }
  return { events, lastId };
}

describe('The wire', () => {
  it('shows every event with its own id, its name and one line of data', async () => {
    house = await HttpHouse.open();
    house.facts.create('task-1', { userId: 'alice', key: 'chosen' });
    const answer = await house.get('/tasks/task-1/events');
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
    await answer.until('id: 1\n');
    house.facts.commit('task-1', ['start']);
    house.facts.commit('task-1', ['heartbeat']);
    house.facts.commit('task-1', ['progress', { payload: { text: 'a\nb' } }]);
    house.facts.commit('task-1', ['error', { error: ERROR }]);
    const events = (await answer.until()).trim().split('\n\n');
    const at = house.facts.entries('task-1').map((entry) => entry.at);
    expect(events).toEqual([
      `event: created\nid: 1\ndata: {"seq":1,"type":"created","taskId":"task-1","attempt":1,"timestamp":${at[0]},"payload":{"name":"import","type":"user","priority":0,"tags":[],"maxAttempts":3,"timeoutMs":1000}}`,
      `event: start\nid: 2\ndata: {"seq":2,"type":"start","taskId":"task-1","attempt":1,"timestamp":${at[1]}}`,
      `event: progress\nid: 3\ndata: {"seq":3,"type":"progress","taskId":"task-1","attempt":1,"timestamp":${at[2]},"payload":{"text":"a\\nb"}}`,
      `event: failed\nid: 4\ndata: {"seq":4,"type":"error","taskId":"task-1","attempt":1,"timestamp":${at[3]},"payload":{"error":${JSON.stringify(ERROR)}}}`,
    ]);
  });

  it('resumes after Last-Event-ID or ?lastEventId, the header first', async () => {
    house = await HttpHouse.open();
    house.facts.create();
    house.facts.progress('task-1', 300);
    house.facts.commit('task-1', ['complete', { result: 1 }]);
    const idsOf = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    const all = idsOf(await (await house.get('/tasks/task-1/events')).until());
    expect(all).toEqual(Array.from({ length: 302 }, (_, index) => index + 1));
    const byHeader = await house.get('/tasks/task-1/events?lastEventId=5', { 'last-event-id': '299' });
    expect(idsOf(await byHeader.until())).toEqual([300, 301, 302]);
    const byQuery = await house.get('/tasks/task-1/events?lastEventId=300');
    expect(idsOf(await byQuery.until())).toEqual([301, 302]);
  });

  it('cut at any byte and resumed gives every event once, in order, whole', async () => {
    house = await HttpHouse.open();
    house.facts.create('task-1', { userId: 'alice', key: 'chosen' });
    house.facts.commit('task-1', ['start']);
    for (const text of ['id: 9', 'a\n\nb: ü', '\u2028', '🚀\r\ndata: x']) house.facts.commit('task-1', ['progress', { payload: { text } }]);
    house.facts.commit('task-1', ['error', { error: ERROR }]);
    const from = async (id?: string): Promise<Buffer> =>
      Buffer.from(await (await house.get('/tasks/task-1/events', id === undefined ? {} : { 'last-event-id': id })).until());
    const whole = await from();
    const all = received(whole).events;
    expect(all.map(({ id }) => id)).toEqual(['1', '2', '3', '4', '5', '6', '7']);
    const rests = new Map<string | undefined, string>();
    for (let cut = 0; cut <= whole.length; cut++) {
      const { events, lastId } = received(whole.subarray(0, cut));
      if (!rests.has(lastId)) rests.set(lastId, JSON.stringify(received(await from(lastId)).events));
      expect({ cut, events: [...events, ...JSON.parse(rests.get(lastId)!)] }).toEqual({ cut, events: all });
    }
    expect(rests.size).toBe(8);
  });

  it('keeps idle streams alive with comments that carry no id', async () => {
    house = await HttpHouse.open({ keepAliveMs: 10 });
    house.facts.create();
    const answer = await house.get('/tasks/task-1/events');
    const text = await answer.until(': keep-alive\n\n: keep-alive\n\n');
    expect(text.replaceAll(': keep-alive\n\n', '').match(/^id:.*$/gm)).toEqual(['id: 1']);
  });

  it.each(['host', 'bare', 'none'] as const)('refuses before the headers: 204, 400, 404, 410, 429, 503 (filter: %s)', async (filter) => {
    house = await HttpHouse.open({ maxSubscribersPerTask: 1 }, filter);
    const hasFilter = filter !== 'none';
    house.facts.create('ended');
    house.facts.commit('ended', ['cancelled']);
    const ended = await house.get('/tasks/ended/events', { 'last-event-id': '2' });
    expect([ended.status, await ended.until()]).toEqual([204, '']);
    house.facts.create();
    house.facts.progress('task-1', 9);
    const ahead = await house.get('/tasks/task-1/events?lastEventId=11');
    expect([ahead.status, JSON.parse(await ahead.until())]).toMatchObject([400, { field: 'lastSeq' }]);
    const garbled = await house.get('/tasks/task-1/events', { 'last-event-id': 'abc' });
    expect([garbled.status, JSON.parse(await garbled.until())]).toMatchObject([400, { field: 'Last-Event-ID' }]);
    expect((await house.get('/tasks/unknown/events')).status).toBe(404);
    house.facts.firstSeq = 5;
    const gone = await house.get('/tasks/task-1/events');
    expect([gone.status, JSON.parse(await gone.until())]).toMatchObject([410, { requestedSeq: 0, firstAvailableSeq: 5 }]);
    const first = await house.get('/tasks/task-1/events', { 'last-event-id': '9' });
    await first.until('id: 10\n');
    const second = await house.get('/tasks/task-1/events', { 'last-event-id': '9' });
    expect([second.status, second.headers['retry-after']]).toEqual([429, hasFilter ? '5' : undefined]);
    house.facts.create('other');
    house.facts.isDown = true;
    const down = await house.get('/tasks/other/events');
    expect([down.status, down.headers['retry-after']]).toEqual([503, hasFilter ? '1' : undefined]);
    expect(await down.until()).toBe('{"statusCode":503,"message":"Service Unavailable"}');
    expect(house.facts.faults).toBeGreaterThan(0);
  });

  it('gives the place back when the client leaves', async () => {
    house = await HttpHouse.open();
    house.facts.create();
    const answer = await house.get('/tasks/task-1/events');
    await answer.until('id: 1\n');
    expect(house.streams.stats().subscribers).toBe(1);
    answer.leave();
    for (let turn = 0; turn < 1_000 && house.streams.stats().subscribers > 0; turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
    expect(house.streams.stats().subscribers).toBe(0);
  });

  it('carries a replay of tens of megabytes to a client that reads', async () => {
    house = await HttpHouse.open();
    house.facts.create();
    house.facts.progress('task-1', 400, 'x'.repeat(60_000));
    house.facts.commit('task-1', ['complete', { result: 1 }]);
    const text = await (await house.get('/tasks/task-1/events')).until();
    expect([...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]))).toEqual(
      Array.from({ length: 402 }, (_, index) => index + 1),
    );
  });

  it('lets the app close while streams are open, without waiting for their connections to idle out, and asks the clients back', async () => {
    house = await HttpHouse.open();
    house.app.getHttpServer().keepAliveTimeout = IDLE_MS;
    house.facts.create();
    house.facts.progress('task-1', 3);
    const answers = await Promise.all([1, 2, 3].map(() => house.get('/tasks/task-1/events')));
    await Promise.all(answers.map((answer) => answer.until('id: 4\n')));
    await house.app.close();
    for (const answer of answers) expect(await answer.until()).toMatch(/\n\nid: 4\nretry: 2\d{3}\n\n$/);
  });
});

/** A response body that can be lost on the way. It asks for reconnection without delay, so that no test waits for time to pass. */
function cuttable(source: ReadableStream<Uint8Array>): { body: ReadableStream<Uint8Array>; close: () => void } {
  const reader = source.getReader();
  let isCut = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('retry: 1\n\n')),
    pull: async (controller) => {
      const { done, value } = await reader.read();
      if (done || isCut) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => reader.cancel(),
  });
  return { body, close: () => void ((isCut = true), reader.cancel()) };
}

describe('An EventSource', () => {
  it('gets the whole task through lost connections, and stops at 204', async () => {
    house = await HttpHouse.open({}, 'none');
    house.facts.create();
    const seen: number[] = [];
    const statuses: (number | undefined)[] = [];
    let cut: () => void = () => undefined;
    const source = new EventSource(`${house.url}/tasks/task-1/events`, {
      fetch: async (url, init) => {
        const response = await fetch(url, init as RequestInit);
        statuses.push(response.status);
        if (response.body === null || response.status !== 200) return response;
        const { body, close } = cuttable(response.body);
        cut = close;
        return { body, url: response.url, status: response.status, redirected: response.redirected, headers: response.headers };
      },
    });
    const closed = new Promise<void>((resolve) => {
      for (const name of ['created', 'progress', 'failed']) {
        source.addEventListener(name, (event) => {
          seen.push(Number(event.lastEventId));
          if (event.lastEventId === '3') cut();
          if (name === 'created') house.facts.progress('task-1', 3);
          if (event.lastEventId === '4') house.facts.commit('task-1', ['error', { error: ERROR }]);
        });
      }
      source.onerror = () => {
        if (source.readyState === source.CLOSED) resolve();
      };
    });
    await closed;
    source.close();
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(statuses).toEqual([200, 200, 204]);
  });
});
