import type { SqlSession } from '../../../lib/repository/sql-session.interface.js';

/** Makes a real database refuse what it is told to, by triggers: the errors are the database's own. */
export async function plantPoison(session: SqlSession): Promise<void> {
  const statements =
    session.dialect.name === 'sqlite'
      ? [
          'CREATE TABLE poison (kind text NOT NULL, id text NOT NULL, from_seq bigint NOT NULL)',
          refusingOnSqlite('taskflow_tasks', 'task', 'NEW.id', 'NEW.last_seq'),
          refusingOnSqlite('taskflow_events', 'event', 'NEW.task_id', 'NEW.seq'),
        ]
      : [
          'CREATE TABLE poison (kind text NOT NULL, id text NOT NULL, from_seq bigint NOT NULL)',
          ...refusingOnPostgres('taskflow_tasks', 'task', 'NEW.id', 'NEW.last_seq'),
          ...refusingOnPostgres('taskflow_events', 'event', 'NEW.task_id', 'NEW.seq'),
        ];
  for (const statement of statements) await session.run(statement);
}

/** From now on the row of this task, or its events, are refused from this sequence on. */
export async function poison(session: SqlSession, kind: 'task' | 'event', id: string, fromSeq: number): Promise<void> {
  await session.run('INSERT INTO poison (kind, id, from_seq) VALUES (?, ?, ?)', [kind, id, fromSeq]);
}

const hit = (kind: string, id: string, seq: string): string =>
  `EXISTS (SELECT 1 FROM poison AS p WHERE p.kind = '${kind}' AND p.id = ${id} AND ${seq} >= p.from_seq)`;

const refusingOnSqlite = (table: string, kind: string, id: string, seq: string): string =>
  `CREATE TRIGGER poison_${kind} BEFORE INSERT ON ${table} WHEN ${hit(kind, id, seq)} BEGIN SELECT RAISE(ABORT, 'poisoned'); END`;

const refusingOnPostgres = (table: string, kind: string, id: string, seq: string): string[] => [
  `CREATE FUNCTION poison_${kind}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF ${hit(kind, id, seq)} THEN RAISE EXCEPTION 'poisoned' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$`,
  `CREATE TRIGGER poison_${kind} BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION poison_${kind}()`,
];

const ASCII_TABLES: Readonly<Record<string, readonly string[]>> = {
  taskflow_tasks: ['input', 'result', 'error'],
  taskflow_events: ['data'],
  taskflow_dead_entries: ['line', 'reason'],
};

/** As a database whose encoding has nothing beyond ASCII: what is written refuses it, dead entries included. @returns what undoes it. */
export async function refuseBeyondAscii(session: SqlSession): Promise<() => Promise<void>> {
  const isSqlite = session.dialect.name === 'sqlite';
  const drops: string[] = [];
  for (const [table, columns] of Object.entries(ASCII_TABLES)) {
    const test = columns.map((column) => (isSqlite ? `NEW.${column} GLOB '*[^ -~]*'` : `NEW.${column} ~ '[^ -~]'`)).join(' OR ');
    const name = `ascii_${table}`;
    const create = isSqlite
      ? [`CREATE TRIGGER ${name} BEFORE INSERT ON ${table} WHEN ${test} BEGIN SELECT RAISE(ABORT, 'not ascii'); END`]
      : [
          `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF ${test} THEN RAISE EXCEPTION 'not ascii' USING ERRCODE = '22P05'; END IF; RETURN NEW; END $$`,
          `CREATE TRIGGER ${name} BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}()`,
        ];
    for (const statement of create) await session.run(statement);
    drops.push(isSqlite ? `DROP TRIGGER ${name}` : `DROP TRIGGER ${name} ON ${table}`);
  }
  return async () => {
    for (const statement of drops) await session.run(statement);
  };
}
