import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { readCursor, replaceCursor } from '../../../lib/engines/local/storage/cursor-rows.js';
import { databaseOverview } from '../../../lib/engines/local/storage/database-overview.js';
import { DatabaseConnection } from '../../../lib/repository/database.connection.js';
import { databaseTarget } from '../../../lib/repository/database-target.js';
import { deadTasks, retryDeadTask } from '../../../lib/engines/local/storage/rejected/dead-entry-retry.js';
import { CursorMovedError } from '../../../lib/engines/local/storage/flush.errors.js';
import { TypeOrmProjector } from '../../../lib/engines/local/storage/typeorm-projector.js';
import { EntryScript } from '../../support/database/entry-script.js';
import { plantPoison, poison } from '../../support/database/poison.js';
import { DATABASES, ensureFile, type TestDatabase } from '../../support/database/test-databases.js';

for (const { name, available, create } of DATABASES) {
  (available ? describe : describe.skip)(`Dead entries on ${name}`, () => {
    let database: TestDatabase;
    let connection: DatabaseConnection;
    let projector: TypeOrmProjector;

    beforeAll(async () => {
      database = await create();
      const ports = { clock: new SystemClock(), ensureFile, sharesProcessWithLog: false };
      connection = new DatabaseConnection(databaseTarget(database.options as unknown as RepositoryOptions), 'writer', ports);
      projector = new TypeOrmProjector(connection, { keyConflict: () => undefined, quarantined: () => undefined });
      await projector.open();
      await plantPoison(connection);
    });
    afterAll(async () => {
      await projector?.close();
      await database?.drop();
    });

    const heal = (id: string): Promise<number> => connection.run('DELETE FROM poison WHERE id = ?', [id]);
    const rowOf = async (id: string) =>
      (await connection.rows(`SELECT "status", "last_seq", "home", "result" FROM ${connection.tables.tasks} WHERE "id" = ?`, [id]))[0];
    const eventsOf = async (id: string): Promise<number[]> =>
      (await connection.rows(`SELECT "seq" FROM ${connection.tables.events} WHERE "task_id" = ? ORDER BY "seq"`, [id])).map((row) =>
        Number(row['seq']),
      );

    it('stay as they are while the database refuses them, and are rows once it does not; the flush goes on behind them', async () => {
      const script = new EntryScript();
      const id = randomUUID();
      await poison(connection, 'task', id, 2);
      script.created(id);
      const taken = await projector.apply(script.batch(null));
      script.add('start', id);
      script.add('progress', id, { payload: 1 });
      const { cursor } = await projector.apply(script.batch(taken.cursor));
      expect(await deadTasks(connection, script.logId, '')).toEqual([{ taskId: id, entries: 2, reason: expect.any(String) }]);
      expect(await retryDeadTask(connection, id)).toMatchObject({ entries: 2, reason: expect.stringContaining('Error') });
      expect(await deadTasks(connection, script.logId, '')).toHaveLength(1);
      expect(await eventsOf(id)).toEqual([1]);
      expect((await databaseOverview(connection, script.logId)).homes.find(({ home }) => home === script.logId)).toEqual({
        home: script.logId,
        appliedSeq: 3,
        tasks: 1,
        unfinished: 1,
        deadEntries: 2,
        beatAt: 0,
      });
      await heal(id);
      expect(await retryDeadTask(connection, id)).toEqual({ taskId: id, entries: 2, reason: null });
      expect(await deadTasks(connection, script.logId, '')).toEqual([]);
      script.add('complete', id, { result: { sent: true } });
      expect((await projector.apply(script.batch(cursor))).quarantined).toBe(0);
      expect(await rowOf(id)).toMatchObject({ status: 'completed' });
      expect(await eventsOf(id)).toEqual([1, 2, 3, 4]);
    });

    it('of two logs, of a task that was adopted, are applied in the order in which they happened', async () => {
      const [lost, heir] = [new EntryScript('b-lost'), new EntryScript('a-heir')];
      const id = randomUUID();
      await poison(connection, 'task', id, 1);
      lost.created(id);
      lost.add('start', id);
      await projector.apply(lost.batch(null));
      heir.add('adopted', id, {}, { fence: 1 });
      heir.add('recovered', id, { recoveries: 1 }, { taskSeq: 3, fence: 1 });
      await projector.apply(heir.batch(null));
      await heal(id);
      expect(await retryDeadTask(connection, id)).toEqual({ taskId: id, entries: 4, reason: null });
      expect(await rowOf(id)).toMatchObject({ status: 'created', home: 'a-heir' });
      expect(await eventsOf(id)).toEqual([1, 2, 3]);
    });

    it('have a cursor beside them that only moves from where it is', async () => {
      const script = new EntryScript();
      script.created(randomUUID());
      const { cursor } = await projector.apply(script.batch(null));
      const moved = { ...cursor, appliedCrc: 'feedbeef' };
      await replaceCursor(connection, cursor, moved);
      expect(await readCursor(connection, script.logId)).toEqual(moved);
      await expect(replaceCursor(connection, cursor, moved)).rejects.toBeInstanceOf(CursorMovedError);
    });
  });
}
