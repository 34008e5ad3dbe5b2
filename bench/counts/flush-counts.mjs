import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** SQL statements of flushing 1,000 finished tasks that a crash left in the log: the same frames in the same batches, whatever the time. */
export async function run({ folder }) {
  const statements = countStatements();
  const { openSystem, flushed } = await import('../systems/taskflow.mjs');
  const { system, close } = await openSystem({ noop: async () => undefined }, { folder, flush: { worker: 'inline' } });
  await flushed(system);
  await close();
  const count = (pattern) => statements.filter((sql) => pattern.test(sql)).length;
  return {
    transactions: count(/^COMMIT/i),
    taskInserts: count(/^INSERT INTO "?taskflow_tasks/i),
    eventInserts: count(/^INSERT INTO "?taskflow_events/i),
    reads: count(/^SELECT/i),
    statements: statements.length,
  };
}

/** Of the driver. The library's own connection is the only one here. */
function countStatements() {
  const { Database } = require('sqlite3');
  const statements = [];
  for (const method of ['run', 'all', 'exec', 'get', 'each', 'prepare']) {
    const original = Database.prototype[method];
    Database.prototype[method] = function (sql, ...args) {
      statements.push(String(sql).trim());
      return original.call(this, sql, ...args);
    };
  }
  return statements;
}
