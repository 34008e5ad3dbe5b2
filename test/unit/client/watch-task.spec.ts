import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { TaskMessage, TaskWatch, WatchEnd, WatchOptions } from '../../../lib/client/watch.interface.js';
import { watchTask } from '../../../lib/client/watch-task.js';
import { settle } from '../../support/clock/fake-clock.js';
import { ClientHouse, eventText } from './client-house.js';

let house: ClientHouse;
let seen: number[];
let statuses: string[];
let ends: WatchEnd[];
let watch: TaskWatch;
beforeEach(() => {
  house = new ClientHouse();
  [seen, statuses, ends] = [[], [], []];
});
afterEach(() => watch.close());

async function open(options: WatchOptions = {}): Promise<void> {
  watch = watchTask(
    'http://server/events',
    {
      fetch: house.fetch,
      onEvent: ({ seq }) => seen.push(seq),
      onStatus: (status, { retryInMs }) => statuses.push(retryInMs === undefined ? status : `${status} ${retryInMs}`),
      onEnd: (end) => ends.push(end),
      ...options,
    },
    house.ports,
  );
  await settle();
}
const resumedFrom = (): (string | undefined)[] => house.asked.map(({ headers }) => headers['last-event-id']);
const html = (status: number, headers: Record<string, string> = {}): Response =>
  new Response('<html>Sorry</html>', { status, headers: { 'content-type': 'text/html', ...headers } });

describe('watchTask', () => {
  it('hands on every event once, in order, and ends with the last one', async () => {
    await open();
    await house.last.event(1, { type: 'created' });
    await house.last.event(2, { type: 'start' });
    await house.last.event(2, { type: 'start' });
    await house.last.event(3, { type: 'complete' });
    expect(ends).toEqual([]);
    await house.last.end();
    expect(seen).toEqual([1, 2, 3]);
    expect(await watch.done).toEqual({ reason: 'ended', lastSeq: 3 });
    expect(ends).toEqual([{ reason: 'ended', lastSeq: 3 }]);
    expect(statuses).toEqual(['connecting', 'live']);
    expect([house.asked.length, house.clock.timers, house.listeners.size]).toEqual([1, 0, 0]);
  });

  it('asks again where an unfinished stream ended, from the last event that came whole', async () => {
    await open();
    await house.last.event(1);
    await house.last.write(eventText(2), eventText(3).trimEnd());
    await house.last.end();
    await house.clock.run(1_000);
    await house.last.cut();
    await house.clock.run(2_000);
    await house.last.write(eventText(3) + eventText(4, { type: 'error' }));
    await house.last.end();
    expect(resumedFrom()).toEqual([undefined, '2', '2']);
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(ends).toMatchObject([{ reason: 'ended' }]);
  });

  it('tells a finished stream from one whose server asked it to come back after the last event', async () => {
    await open();
    await house.last.write(eventText(4, { type: 'error' }), 'id: 4\nretry: 10\n\n');
    await house.last.end();
    expect(ends).toEqual([]);
    house.answers.push(new Response(null, { status: 204 }));
    await house.clock.run(1_000);
    expect(ends).toEqual([{ reason: 'ended', status: 204, lastSeq: 4 }]);
  });

  it('begins after lastSeq, and goes by the ids of messages where they are not the seq of events', async () => {
    await open({ lastSeq: 100 });
    await house.last.event(1, { id: '101' });
    await house.last.cut();
    await house.clock.run(1_000);
    expect(resumedFrom()).toEqual(['100', '101']);
    expect([seen, watch.lastSeq]).toEqual([[1], 101]);
  });

  it('waits at least as long as retry: says, and longer by chance with every connection that brings nothing', async () => {
    await open();
    await house.last.write('retry: 2000\n\n');
    await house.last.end();
    house.answers.push(...Array.from({ length: 7 }, () => new TypeError('fetch failed')));
    while (house.asked.length < 9) await house.clock.run(500);
    await house.last.event(1);
    await house.last.cut();
    const waits = statuses.filter((status) => status.startsWith('waiting')).map((status) => Number(status.slice(8)));
    // 2 s, and half of the most that chance may add: 1, 2, 4, 8, 16, then 30 s.
    expect(waits).toEqual([2_500, 3_000, 4_000, 6_000, 10_000, 17_000, 17_000, 17_000, 2_500]);
    expect(house.answers).toEqual([]);
  });

  it.each([
    ['429 with seconds', 429, '7', 7_500],
    ['503 with seconds', 503, ' 7 ', 7_500],
    ['503 with a date', 503, 'date', 20_500],
    ['503 with a date that is over', 503, 'Thu, 01 Jan 1970 00:00:00 GMT', 500],
    ['503 with nonsense', 503, 'soon', 500],
    ['502 without', 502, '', 500],
    ['408 without', 408, '', 500],
  ])('comes back after %s', async (_name, status, after, expected) => {
    const value = after === 'date' ? new Date(house.clock.now() + 20_000).toUTCString() : after;
    house.answers.push(html(status, value === '' ? {} : { 'retry-after': value }));
    await open();
    expect(statuses).toEqual(['connecting', `waiting ${expected}`]);
    await house.clock.run(expected - 1);
    expect(house.asked).toHaveLength(1);
    await house.clock.run(1);
    expect(house.asked).toHaveLength(2);
  });

  it.each([
    [204, 'ended'],
    [404, 'missing'],
    [400, 'refused'],
    [401, 'refused'],
    [403, 'refused'],
    [406, 'refused'],
  ])('ends on %s, as %s', async (status, reason) => {
    house.answers.push(new Response(null, { status }));
    await open({ lastSeq: 7 });
    expect(await watch.done).toEqual({ reason, status, lastSeq: 7 });
    await house.clock.run(100_000);
    expect(house.asked).toHaveLength(1);
  });

  it('goes on behind a gap of history, and says so', async () => {
    const gaps: unknown[] = [];
    house.answers.push(Response.json({ statusCode: 410, requestedSeq: 3, firstAvailableSeq: 9 }, { status: 410 }));
    await open({ lastSeq: 3, onGap: (gap) => gaps.push(gap) });
    await house.last.event(9);
    expect([gaps, resumedFrom(), seen]).toEqual([[{ firstAvailableSeq: 9 }], ['3', '8'], [9]]);
  });

  it('ends where an answer of 410 shows no way forward, instead of asking for ever', async () => {
    house.answers.push(Response.json({ firstAvailableSeq: 2 }, { status: 410 }));
    await open({ lastSeq: 3 });
    expect(await watch.done).toMatchObject({ reason: 'refused', status: 410 });
  });

  it('asks for its headers anew before every connection, and survives that they cannot be had', async () => {
    let calls = 0;
    await open({
      headers: async () => {
        calls += 1;
        if (calls === 2) throw new Error('no token');
        return { authorization: `Bearer ${calls}` };
      },
    });
    await house.last.cut();
    await house.clock.run(10_000);
    expect(house.asked.map(({ headers }) => headers['authorization'])).toEqual(['Bearer 1', 'Bearer 3']);
  });

  it.each<[string, () => Response]>([
    ['an HTML page with status 200, as of a captive portal', () => html(200)],
    ['an HTML error page', () => html(500)],
    ['an empty body', () => new Response(null, { headers: { 'content-type': 'text/event-stream' } })],
    ['a body that ends at once', () => new Response('', { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })],
    ['half a line', () => new Response('id: 5\nda', { headers: { 'content-type': 'text/event-stream' } })],
    ['data that is no JSON', () => new Response('id: 1\ndata: {"seq"\n\n', { headers: { 'content-type': 'text/event-stream' } })],
    ['no content type', () => new Response(new Uint8Array([1]))],
  ])('survives %s', async (_what, answer) => {
    house.answers.push(answer(), answer(), answer());
    await open();
    await house.clock.run(10_000);
    await house.last.event(1);
    expect([resumedFrom(), seen, ends]).toEqual([[undefined, undefined, undefined, undefined], [1], []]);
  });

  it('says what was wrong while it waits', async () => {
    const errors: (string | undefined)[] = [];
    house.answers.push(
      html(200),
      new TypeError('fetch failed'),
      new Response('id: 1\ndata: {\n\n', { headers: { 'content-type': 'text/event-stream' } }),
    );
    await open({ onStatus: (status, { error }) => void (status === 'waiting' && errors.push(error?.message)) });
    await house.clock.run(5_000);
    expect(errors).toEqual(['No event stream was sent, but text/html.', 'fetch failed', expect.stringContaining('JSON')]);
  });

  it('ends with a clear error at an event of 10 MB, as no repetition would make it smaller', async () => {
    await open();
    await house.last.event(1);
    for (let i = 0; i < 10; i++) await house.last.write(i === 0 ? 'id: 2\ndata: "' : 'x'.repeat(1024 * 1024)).catch(() => undefined);
    const end = await watch.done;
    expect(end).toMatchObject({ reason: 'refused', lastSeq: 1 });
    expect(end.error?.message).toContain('maxEventLength (8388608 characters)');
    expect(house.asked).toHaveLength(1);
  });

  it('takes an event of 10 MB where it may', async () => {
    await open({ maxEventLength: 20_000_000 });
    await house.last.event(1, { payload: 'x'.repeat(10_000_000) });
    expect(seen).toEqual([1]);
  });

  it('gives up a connection on which not even a keep-alive came for a minute', async () => {
    await open();
    await house.last.event(1);
    for (let i = 0; i < 3; i++) {
      await house.clock.run(59_000);
      await house.last.write(': keep-alive\n\n');
    }
    expect(house.asked).toHaveLength(1);
    await house.clock.run(61_000);
    expect(resumedFrom()).toEqual([undefined, '1']);
    expect(house.connections[0]!.isAborted).toBe(true);
  });

  it('has no connection while the page is hidden, if told so, and goes on where it was', async () => {
    await open({ pauseWhenHidden: true });
    await house.last.event(1);
    house.change(true);
    await house.clock.run(1_000_000);
    expect([house.asked.length, house.last.isAborted, statuses.at(-1)]).toEqual([1, true, 'waiting']);
    house.change(false);
    await settle();
    expect([resumedFrom(), statuses.at(-1)]).toEqual([[undefined, '1'], 'live']);
  });

  it('stays connected while the page is hidden, if not told otherwise', async () => {
    await open();
    house.change(true);
    await house.clock.run(1_000);
    expect([house.asked.length, house.last.isAborted]).toEqual([1, false]);
  });

  it('tries at once when the network is back, but not before the time that the server named', async () => {
    house.answers.push(new TypeError('fetch failed'), html(503, { 'retry-after': '9' }));
    await open();
    house.change();
    await settle();
    expect(house.asked).toHaveLength(2);
    house.change();
    await settle();
    expect(house.asked).toHaveLength(2);
    await house.clock.run(11_000);
    expect(house.asked).toHaveLength(3);
  });

  it.each(['close', 'signal', 'signal before'])('ends at once by its caller, even amid a message (%s)', async (how) => {
    const controller = new AbortController();
    if (how === 'signal before') controller.abort();
    const stop = (): void => (how === 'close' ? watch.close() : controller.abort());
    await open({
      signal: controller.signal,
      onEvent: ({ seq }) => {
        seen.push(seq);
        if (seq === 2) stop();
      },
    });
    if (how !== 'signal before') await house.last.write(eventText(1) + eventText(2) + eventText(3));
    expect(await watch.done).toEqual({ reason: 'closed', lastSeq: how === 'signal before' ? 0 : 2 });
    expect(seen).toEqual(how === 'signal before' ? [] : [1, 2]);
    watch.close();
    expect([ends.length, house.clock.timers, house.listeners.size]).toEqual([1, 0, 0]);
    if (how !== 'signal before') expect(house.last.isAborted).toBe(true);
  });

  it('goes on when a callback throws, and lets the error be seen', async () => {
    const report = jest.fn();
    (globalThis as { reportError?: unknown }).reportError = report;
    try {
      await open({ onEvent: ({ seq }) => void (seq === 1 ? JSON.parse('{') : seen.push(seq)) });
      await house.last.write(eventText(1) + eventText(2));
      expect(seen).toEqual([2]);
      expect(report.mock.calls).toEqual([[expect.any(SyntaxError)]]);
    } finally {
      delete (globalThis as { reportError?: unknown }).reportError;
    }
  });

  it('leaves out what is no event of a task', async () => {
    await open();
    await house.last.write('data: {"hello":1}\n\n', 'event: ping\nid: 0\ndata: null\n\n', eventText(1));
    expect(seen).toEqual([1]);
  });
});

describe('for await over a watch', () => {
  const numbersOf = async (events: AsyncIterable<TaskMessage>): Promise<number[]> => {
    const numbers: number[] = [];
    for await (const { seq } of events) numbers.push(seq);
    return numbers;
  };

  it('gives every event, and is over when the watch is', async () => {
    await open({ onEvent: undefined as never });
    const all = numbersOf(watch);
    await house.last.event(1);
    await house.last.cut();
    await house.clock.run(1_000);
    await house.last.write(eventText(2) + eventText(3, { type: 'cancelled' }));
    await house.last.end();
    expect(await all).toEqual([1, 2, 3]);
  });

  it('reads the connection no faster than events are taken', async () => {
    await open({ onEvent: undefined as never });
    const events = watch[Symbol.asyncIterator]();
    for (let seq = 1; seq <= 200; seq++) await house.last.event(seq);
    expect(house.last.unread).toBe(100);
    await house.clock.run(600_000);
    expect(house.asked).toHaveLength(1);
    for (let seq = 1; seq <= 200; seq++) {
      expect((await events.next()).value).toMatchObject({ seq });
      await settle();
    }
  });

  it('gives events of before it began, too', async () => {
    await open({ onEvent: undefined as never, lastSeq: 5 });
    await house.last.event(6);
    expect(watch.lastSeq).toBe(6);
    const all = numbersOf(watch);
    await settle();
    await house.last.event(6);
    await house.last.event(7, { type: 'complete' });
    await house.last.end();
    expect([await all, resumedFrom()]).toEqual([
      [6, 7],
      ['5', '5'],
    ]);
  });

  it('closes the watch when the loop is left', async () => {
    await open({ onEvent: undefined as never });
    const first = (async () => {
      for await (const event of watch) return event.seq;
      return 0;
    })();
    await house.last.write(eventText(1) + eventText(2));
    expect(await first).toBe(1);
    expect(await watch.done).toMatchObject({ reason: 'closed' });
    expect(house.last.isAborted).toBe(true);
  });
});
