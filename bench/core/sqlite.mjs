import sqlite3 from 'sqlite3';

/** The driver that the library uses, with promises. */
export function openDatabase(file) {
  const database = new sqlite3.Database(file);
  const call = (target, method, ...args) =>
    new Promise((resolve, reject) =>
      target[method](...args, (error, result) => (error === null || error === undefined ? resolve(result) : reject(error))),
    );
  return {
    all: (sql, ...values) => call(database, 'all', sql, ...values),
    run: (sql, ...values) => call(database, 'run', sql, ...values),
    prepare: async (sql) => {
      const statement = await new Promise((resolve, reject) => {
        const prepared = database.prepare(sql, (error) => (error ? reject(error) : resolve(prepared)));
      });
      return { run: (values) => call(statement, 'run', values), finalize: () => call(statement, 'finalize') };
    },
    close: () => call(database, 'close'),
  };
}

export const TASKS = 'taskflow_tasks';
export const EVENTS = 'taskflow_events';

export async function columnsOf(database, table) {
  return (await database.all(`PRAGMA table_info("${table}")`)).map(({ name }) => name);
}
