import { type Bench, same, shownEvent } from '../bench.js';
import type { Check } from './check.interface.js';

const deep = (levels: number): unknown => (levels === 0 ? 'bottom' : levels % 2 === 0 ? { in: deep(levels - 1) } : [deep(levels - 1)]);

/** JSON that storages are known to lose something of. */
const STRANGE: Readonly<Record<string, unknown>> = {
  'text that is no plain text': [
    '',
    ' ',
    '\u0000',
    'a\u0000b',
    '\u2028\u2029',
    '\r\n\t',
    '👩‍👩‍👧',
    'e\u0301 \u00e9',
    "'; DROP TABLE tasks; --",
    '\\"\\\\',
  ],
  'half a surrogate pair': ['\ud800', 'a\udc00b'],
  'names of prototypes': JSON.parse('{"__proto__":{"polluted":true},"constructor":1,"toString":null,"hasOwnProperty":2}'),
  'names with dots, dollars and nothing': { '': 1, 'a.b': 2, $set: 3, 'a[0]': 4, ' ': 5 },
  'numbers at their ends': [0, -1, 1.5, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1e308, 5e-324, 0.1 + 0.2],
  'numbers as text, and text that looks like something else': ['1', 'null', 'true', '2026-01-01T00:00:00.000Z', '{"a":1}', '[]'],
  'nothing, in every form': [null, [], {}, [null], { a: null }],
  'sixty-four levels': deep(64),
  'order of members': { b: 1, a: 2, 10: 3, 9: 4 },
};

async function keeps(bench: Bench, value: unknown): Promise<void> {
  const id = bench.log.create({ input: value });
  bench.log.start(id);
  bench.log.progress(id, value);
  bench.log.add(id, 'custom', { eventName: 'named', payload: value });
  bench.log.add(id, 'complete', { result: value });
  await bench.flush();
  await bench.verifyTask(id);
}

const MiB = 1024 * 1024;

export const CONTENT_CHECKS: readonly Check[] = [
  ...Object.entries(STRANGE).map(([what, value]) => ({
    name: `keeps inputs, payloads and results as they are: ${what}`,
    run: (bench: Bench) => keeps(bench, value),
  })),
  {
    name: 'keeps inputs, payloads and results of a megabyte',
    run: (bench) => keeps(bench, { text: 'ä'.repeat(MiB / 2) }),
  },
  {
    name: 'keeps names, users, tags and event names of any alphabet and length',
    async run(bench) {
      const long = 'x'.repeat(200);
      for (const text of ['ключ', "o'Brien", 'a"b', long, '👩‍👩‍👧', 'a/b\\c']) {
        const id = bench.log.create({ name: text, userId: text, tags: [text, `${text}2`] });
        bench.log.start(id);
        bench.log.add(id, 'custom', { eventName: text, payload: 1 });
      }
      await bench.flush();
      await bench.verify();
    },
  },
  {
    name: 'gives all of a long history, in order',
    async run(bench) {
      const id = bench.log.create();
      bench.log.start(id);
      for (let at = 0; at < 5_000; at++) bench.log.progress(id, at);
      await bench.flush();
      await bench.verify();
      const { repository } = bench;
      if (repository.getEventsAfter === undefined) return;
      const { taskId } = bench.log.identityOf(id);
      for (const [after, limit] of [
        [0, 3],
        [2, 1_000],
        [4_990, 1_000],
        [5_002, 10],
        [9_999, 10],
      ] as const) {
        const page = (await repository.getEventsAfter(taskId, after, limit)).map(shownEvent);
        same(`getEventsAfter(…, ${after}, ${limit})`, page, (await bench.oracle.getEventsAfter(taskId, after, limit)).map(shownEvent));
      }
    },
  },
  {
    name: 'gives what is its caller’s own: who changes an answer changes nothing in the store',
    async run(bench) {
      const id = bench.log.create();
      bench.log.complete(id);
      await bench.flush();
      const { taskId } = bench.log.identityOf(id);
      for (const answer of [await bench.repository.getEvents(taskId), await bench.repository.findStaleTasks(0)])
        if (!Object.isFrozen(answer)) answer.length = 0;
      const task = await bench.repository.findById(taskId);
      if (task !== null) Reflect.set(task, 'status', 'failed');
      await bench.verify();
    },
  },
];
