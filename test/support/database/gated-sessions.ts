import type pg from 'pg';
import { eventually } from '../clock/patience.js';

const GATES = 'test_gate';
/** Steps that one session may take. */
const MOST_STEPS = 60;

/** The server's part of it. Sessions of which it knows nothing pass. Whatever a function says of locks: the test may take its time. */
export const GATE_FUNCTION = `CREATE OR REPLACE FUNCTION ${GATES}() RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    session int := nullif(current_setting('test.session', true), '')::int;
    step int;
  BEGIN
    IF session IS NULL THEN RETURN; END IF;
    step := current_setting('test.step')::int + 1;
    PERFORM set_config('test.step', step::text, false), set_config('lock_timeout', '0', true);
    PERFORM pg_advisory_lock(session, step);
    PERFORM pg_advisory_unlock(session, step);
  END $$`;

/** Where a session stands: before its next statement, behind a lock that somebody holds, or at its end. */
type Standing = 'gate' | 'blocked' | 'done';

interface Session {
  readonly client: pg.Client;
  readonly number: number;
  pid: number;
  step: number;
  outcome: Promise<unknown>;
  isDone: boolean;
}

const STATEMENT = /^\s*(?:PERFORM|SELECT|INSERT|UPDATE|DELETE|WITH|v_made :=|v_answer :=|v_applied :=|FOR v_(?:row|i|user) IN SELECT)\b/;
const BEFORE_A_STATEMENT = /(?:;|\bTHEN|\bLOOP|\bELSE|^BEGIN)\s*(?:--.*)?$/;

/** A function of ours that waits at a gate before each of its statements. */
export function gated(source: string): string {
  const [head, body] = [source.slice(0, source.indexOf('\nBEGIN\n')), source.slice(source.indexOf('\nBEGIN\n') + 1)];
  let last = '';
  const lines = body.split('\n').map((line) => {
    const isStatement = STATEMENT.test(line) && BEFORE_A_STATEMENT.test(last.trim());
    if (line.trim() !== '' && !line.trim().startsWith('--')) last = line;
    return isStatement ? line.replace(/^\s*/, (indent) => `${indent}PERFORM ${GATES}(); `) : line;
  });
  return `${head}\n${lines.join('\n')}`;
}

/**
 * Sessions that go on one statement at a time, in the order in which the test lets them. Each gate is an advisory lock that the test holds:
 * the n-th one of session s is (s, n).
 */
export class GatedSessions {
  private readonly sessions: Session[] = [];

  constructor(
    /** Holds the gates, and sees who waits for what. */
    private readonly keeper: pg.Client,
    private readonly connect: () => Promise<pg.Client>,
  ) {}

  /** Begins a call, which stops before its first statement. @returns its number. */
  async begin(work: (client: pg.Client) => Promise<unknown>): Promise<number> {
    const number = this.sessions.length + 1;
    const client = await this.connect();
    const [{ pid }] = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows as [{ pid: number }];
    await client.query(`SELECT set_config('test.session', $1, false), set_config('test.step', '0', false)`, [String(number)]);
    await this.keeper.query(`SELECT pg_advisory_lock($1, n) FROM generate_series(1, ${MOST_STEPS}) AS n`, [number]);
    const session: Session = { client, number, pid, step: 1, isDone: false, outcome: Promise.resolve() };
    session.outcome = work(client)
      .catch((error: unknown) => error)
      .then((outcome) => {
        session.isDone = true;
        return outcome;
      });
    this.sessions.push(session);
    await this.standing(session);
    return number;
  }

  /** Lets it make its next statement. One behind a lock is left there. @returns where it then stands. */
  async advance(number: number): Promise<Standing> {
    const session = this.sessions[number - 1]!;
    const before = await this.standing(session);
    if (before !== 'gate') return before;
    await this.keeper.query('SELECT pg_advisory_unlock($1, $2)', [number, session.step]);
    session.step += 1;
    return this.standing(session);
  }

  /** Lets it go on to its end, or to a lock. */
  async finish(number: number): Promise<Standing> {
    for (;;) {
      const standing = await this.advance(number);
      if (standing !== 'gate') return standing;
    }
  }

  /** Lets all of them go on to their ends. @returns what became of each: its answer, or its error. */
  async finishAll(): Promise<unknown[]> {
    while (this.sessions.some(({ isDone }) => !isDone))
      for (const { number, isDone } of this.sessions) if (!isDone) await this.finish(number);
    const outcomes = await Promise.all(this.sessions.map(({ outcome }) => outcome));
    await this.keeper.query('SELECT pg_advisory_unlock_all()');
    return outcomes;
  }

  private async standing(session: Session): Promise<Standing> {
    const standing = await eventually(
      async () => {
        if (session.isDone) return 'done';
        const { rows } = await this.keeper.query<{ is_gate: boolean; is_next: boolean }>(
          `SELECT locktype = 'advisory' AND classid = $2 AS is_gate, objid = $3 AS is_next FROM pg_locks WHERE pid = $1 AND NOT granted`,
          [session.pid, session.number, session.step],
        );
        const [waits] = rows;
        // It may not have woken up yet from the gate before.
        if (waits === undefined || (waits.is_gate && !waits.is_next)) return 'works';
        return waits.is_gate ? 'gate' : 'blocked';
      },
      (seen) => seen !== 'works',
    );
    return standing as Standing;
  }
}
