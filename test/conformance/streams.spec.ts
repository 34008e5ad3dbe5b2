import { expect, it } from '@jest/globals';
import type { StoredEvent } from '../../lib/contracts/task-event.interface.js';
import type { Task } from '../../lib/contracts/task.interface.js';
import { codeOf, forEveryEngine } from './house.js';

const seqs = (events: readonly StoredEvent[]): number[] => events.map(({ seq }) => seq);
const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, n) => n + first);

forEveryEngine('A stream', (house) => {
  /** A running task with this many progress events after `created` and `start`. */
  async function progressed(events: number): Promise<Task> {
    const task = await house.running();
    const { ctx } = house.work.run(task.id);
    await house.until(Promise.all(Array.from({ length: events }, (_, n) => ctx.progress({ n }))));
    return task;
  }

  it('gives every event once and in order, from the first to the last, to each who subscribes', async () => {
    await house.open();
    const early = await house.running();
    const reading = [house.events(early), house.events(early)];
    const { ctx } = house.work.run(early.id);
    for (let n = 0; n < 20; n++) await house.until(ctx.progress({ n }));
    await house.complete(early);
    const late = house.events(early);
    for (const events of await Promise.all([...reading, late])) {
      expect(seqs(events)).toEqual(upTo(23));
      expect(events.map(({ type }) => type)).toEqual(['created', 'start', ...Array(20).fill('progress'), 'complete']);
      expect(events.slice(2, -1).map(({ payload }) => (payload as { n: number }).n)).toEqual(upTo(19, 0));
    }
  });

  it('is resumed exactly after any position, while its task runs, after it ended, and when it is at rest', async () => {
    await house.open();
    const task = await progressed(5);
    for (const lastSeq of upTo(6, 0))
      expect(seqs(await house.events(task, { lastSeq, enough: 7 - lastSeq }))).toEqual(upTo(7, lastSeq + 1));
    await house.complete(task);
    for (const lastSeq of upTo(7, 0)) expect(seqs(await house.events(task, { lastSeq }))).toEqual(upTo(8, lastSeq + 1));
    await house.engine.atRest();
    for (const lastSeq of upTo(7, 0)) expect(seqs(await house.events(task, { lastSeq }))).toEqual(upTo(8, lastSeq + 1));
  });

  it('shows nothing that a crash takes back: what was seen before it is seen after it, and numbers go on without a gap', async () => {
    await house.open();
    const task = await progressed(3);
    const before = await house.events(task, { enough: 5 });
    await house.crash();
    await house.runs(task);
    await house.until(house.work.run(task.id).ctx.progress('again'));
    await house.complete(task);
    const after = await house.events(task);
    expect(after.slice(0, 5)).toEqual(before);
    expect(seqs(after)).toEqual(upTo(after.length));
    expect(after.slice(5).map(({ type }) => type)).toEqual(['recovered', 'start', 'progress', 'complete']);
    expect(await house.events(task, { lastSeq: 5 })).toEqual(after.slice(5));
  });

  it('goes on over a retry by hand, into the next life', async () => {
    await house.open();
    const task = await house.failed();
    expect(seqs(await house.events(task))).toEqual([1, 2, 3]);
    await house.until(house.system.retry(task));
    const next = house.events(task, { lastSeq: 3 });
    await house.complete(task);
    expect((await next).map(({ seq, type }) => [seq, type])).toEqual([
      [4, 'retry'],
      [5, 'start'],
      [6, 'complete'],
    ]);
  });

  it('of a task that has ended refuses a position at or beyond its end, as a browser needs it', async () => {
    await house.open();
    const task = await house.complete(await house.running());
    expect(await house.until(codeOf(house.system.sse(task, { lastSeq: 3 })))).toBe('STREAM_ENDED');
    expect(await house.events(task, { lastSeq: 3 })).toEqual([]);
    for (const lastSeq of [-1, 0.5, Number.NaN])
      expect(await house.until(codeOf(house.system.sse(task, { lastSeq })))).toBe('VALIDATION_FAILED');
  });

  it('of a task that nobody knows is a miss', async () => {
    await house.open();
    expect(await house.until(codeOf(house.system.sse('no such key')))).toBe('NOT_FOUND');
    await expect(house.events({ taskId: '01900000-0000-7000-8000-000000000000' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('that is left by its reader, or by its signal, is forgotten', async () => {
    await house.open();
    const task = await progressed(1);
    expect(await house.events(task, { enough: 2 })).toHaveLength(2);
    const abort = new AbortController();
    const waiting = house.system.subscribe(task, { lastSeq: 3, signal: abort.signal })[Symbol.asyncIterator]().next();
    await house.pass(50);
    abort.abort();
    expect(await house.until(waiting)).toMatchObject({ done: true });
    await house.seen(
      () => house.system.getStats().streams,
      ({ subscribers }) => subscribers === 0,
    );
  });

  it.each<[string, unknown]>([
    ['an object', {}],
    ['a controller', new AbortController()],
    ['null', null],
    ['a text', 'stop'],
  ])('with a signal that is none is refused by name, and leaves nothing behind: %s', async (_, given) => {
    await house.open();
    const task = await house.submit();
    const options = { signal: given as AbortSignal };
    const refusal = { code: 'VALIDATION_FAILED', field: 'signal' };
    await expect(house.until(house.system.sse(task, options))).rejects.toMatchObject(refusal);
    await expect(house.until(house.system.result(task, options))).rejects.toMatchObject(refusal);
    await expect(house.until(house.system.subscribe(task, options)[Symbol.asyncIterator]().next())).rejects.toMatchObject(refusal);
    const observed = new Promise((resolve) => house.system.subscribe(task, options).subscribe({ error: resolve }));
    expect(await house.until(observed)).toMatchObject(refusal);
    await house.seen(
      () => house.system.getStats().streams,
      ({ active, subscribers }) => active === 0 && subscribers === 0,
    );
  });

  it('of one user is bounded, and a place that is left is free', async () => {
    await house.open({ stream: { maxSubscribersPerUser: 2 } });
    const task = await house.submit({ userId: 'ann', delayMs: 600_000 });
    const open = async (): Promise<{ unsubscribe(): void }> =>
      (await house.until(house.system.sse(task, { userId: 'ann' }))).subscribe(() => undefined);
    const [first] = [await open(), await open()];
    expect(await house.until(codeOf(house.system.sse(task, { userId: 'ann' })))).toBe('SUBSCRIBER_LIMIT');
    first.unsubscribe();
    await open();
  });
});

forEveryEngine('A result', (house) => {
  it('is what the present life ends with, whoever asks and whenever', async () => {
    await house.open();
    const task = await house.failed();
    await expect(house.until(house.system.result(task))).rejects.toMatchObject({ name: 'TaskFailedError', task: { id: task.id } });
    await house.until(house.system.retry(task));
    const result = house.system.result(task);
    await house.complete(task, { n: 2 });
    expect(await house.until(result)).toEqual({ n: 2 });
    await house.engine.atRest();
    expect(await house.until(house.system.result(task))).toEqual({ n: 2 });
  });

  it('is given up by a signal, and the task goes on', async () => {
    await house.open();
    const task = await house.running();
    const abort = new AbortController();
    const waiting = house.system.result(task, { signal: abort.signal });
    await house.pass(20);
    abort.abort(new Error('enough'));
    expect(await house.until(codeOf(waiting))).toBe('enough');
    await house.complete(task);
  });
});
