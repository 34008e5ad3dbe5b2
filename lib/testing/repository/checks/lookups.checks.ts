import { realNow } from '../../real-time.js';
import { idempotencyKey, taskId } from '../../../contracts/ids.js';
import { same, sortedIds } from '../bench.js';
import type { Check } from './check.interface.js';

const NOBODY = '01890000-0000-7000-8000-ffffffffffff';
/** No two of them are the same key. */
const KEYS = [
  'k',
  'K',
  'k ',
  ' k',
  'ключ',
  'e\u0301',
  '\u00e9',
  'a:b',
  '%',
  '_',
  '*',
  '$where',
  'null',
  '0',
  '__proto__',
  'constructor',
  'x'.repeat(255),
];

export const LOOKUP_CHECKS: readonly Check[] = [
  {
    name: 'answers null for a task or key that it does not have, and no events',
    async run({ repository }) {
      same('findById', await repository.findById(taskId(NOBODY)), null);
      same('findByIdempotencyKey', await repository.findByIdempotencyKey(idempotencyKey(NOBODY)), null);
      same('findByIdempotencyKey("constructor")', await repository.findByIdempotencyKey(idempotencyKey('constructor')), null);
      same('getEvents', await repository.getEvents(taskId(NOBODY)), []);
      same('findStaleTasks(0)', await repository.findStaleTasks(0), []);
    },
  },
  {
    name: 'finds a task by its scoped key: each by its own, of two users with the same key each its own',
    async run(bench) {
      for (const key of KEYS) for (const userId of [null, 'alice', 'Alice', 'bob']) bench.log.create({ key, userId });
      await bench.flush();
      await bench.verify();
      await bench.verifyKey(idempotencyKey('n:never'));
    },
  },
  {
    name: 'finds a task without a chosen key by its id as key',
    async run(bench) {
      const id = bench.log.create();
      await bench.flush();
      await bench.verifyKey(idempotencyKey(id));
    },
  },
  {
    name: 'finds the newer task by a key that an older one gave to it, and keeps it when the older one is pruned',
    async run(bench) {
      const key = { key: 'k', userId: 'alice' };
      const older = bench.log.create(key);
      bench.log.fail(older);
      await bench.flush();
      const newer = bench.log.handKeyOver(older, key);
      await bench.flush();
      await bench.verify();
      bench.log.add(older, 'pruned');
      await bench.flush();
      await bench.verify();
      await bench.verifyKey(bench.log.identityOf(newer).scopedKey);
    },
  },
  {
    name: 'gives by findStaleTasks(0) every unfinished task, those that wait, those of the future, and no other',
    async run(bench) {
      const later = realNow() + 3_600_000;
      const open = [bench.log.create(), bench.log.create({ runAt: later }), bench.log.create(), bench.log.create()];
      bench.log.start(open[2]!);
      bench.log.retry(open[3]!);
      bench.log.complete(bench.log.create());
      bench.log.fail(bench.log.create());
      bench.log.add(bench.log.create(), 'cancelled');
      // Made before the wall clock was set back.
      const ahead = bench.log.create();
      await bench.flush();
      same('findStaleTasks(0)', sortedIds(await bench.repository.findStaleTasks(0)), [...open, ahead].sort());
    },
  },
  {
    name: 'gives a task that is younger than now by findStaleTasks(0), too',
    async run(bench) {
      const id = bench.log.create();
      const [created] = bench.log.entries;
      await bench.repository.executeBatch([{ ...created!, timestamp: realNow() + 3_600_000 }]);
      same('findStaleTasks(0)', sortedIds(await bench.repository.findStaleTasks(0)), [id]);
    },
  },
  {
    name: 'gives by findStaleTasks of a threshold those alone that were not heard of for so long',
    async run(bench) {
      const [silent, beating] = [bench.log.create(), bench.log.create()];
      bench.log.start(silent);
      bench.log.start(beating);
      bench.log.add(beating, 'heartbeat', {}, { timestamp: realNow() });
      await bench.flush();
      same('findStaleTasks(60000)', sortedIds(await bench.repository.findStaleTasks(60_000)), [silent]);
    },
  },
];
