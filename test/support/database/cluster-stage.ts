import type pg from 'pg';
import { claimHead, moveArguments } from '../../../lib/engines/cluster/storage/cluster-database.js';
import type { ApplyCall } from '../../../lib/engines/cluster/storage/apply-call.interface.js';
import type { ClaimCall } from '../../../lib/engines/cluster/storage/server-functions.js';
import type { SubmitCall } from '../../../lib/engines/cluster/storage/submit-call.interface.js';
import { encodeSubmit } from '../../../lib/engines/cluster/storage/submit-encoding.js';
import { clusterSchemaV1 } from '../../../lib/engines/cluster/storage/migrations/cluster.migrations.js';
import { violations } from '../oracle/cluster-invariants.js';
import type { ClusterHouse } from './cluster-house.js';
import { GATE_FUNCTION, gated, GatedSessions } from './gated-sessions.js';

/** What one session does. */
export type Act = (client: pg.Client) => Promise<unknown>;

/** Two acts at once, and what must hold of their outcomes afterwards: each text is something that does not. */
export interface Encounter {
  readonly first: Act;
  readonly second: Act;
  readonly judge: (outcomes: readonly unknown[]) => Promise<string[]> | string[];
}

/** One edit of the text of a server function. */
export interface Edit {
  readonly from: string;
  readonly to: string;
}

/** A cluster whose functions stop before each of their statements. */
export class ClusterStage {
  private readonly clients: pg.Client[] = [];
  private taken = 0;

  constructor(readonly house: ClusterHouse) {}

  /** @param edits of the functions' texts, each of which must be there once. */
  async build(edits: readonly Edit[] = []): Promise<void> {
    const functions = clusterSchemaV1(this.house.names).filter((statement) => statement.startsWith('CREATE FUNCTION'));
    let text = functions.join('\u0000');
    for (const { from, to } of edits) {
      const found = text.split(from).length - 1;
      if (found !== 1) throw new Error(`stale: the functions have this text ${found} times instead of once: ${from}`);
      text = text.replace(from, () => to);
    }
    await this.house.sql.query(GATE_FUNCTION);
    for (const source of text.split('\u0000'))
      await this.house.sql.query(gated(source.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION')));
  }

  submit = (call: SubmitCall): Act =>
    this.act(
      this.house.names.fn.submit,
      Object.values(encodeSubmit(call)).map((each) => JSON.stringify(each)),
    );
  claim = (call: ClaimCall): Act => this.act(this.house.names.fn.claim, [claimHead(call)]);
  apply = (call: ApplyCall): Act => this.act(this.house.names.fn.apply, moveArguments(call));
  step = (call: ApplyCall, claim: ClaimCall): Act => this.act(this.house.names.fn.step, [...moveArguments(call), claimHead(claim)]);

  /**
   * The second act as a whole at every point of the first one, and the other way round.
   * @returns what went wrong, with where; empty: nothing, in any order.
   */
  async everyOrder(prepare: () => Promise<Encounter>): Promise<{ readonly problems: readonly string[]; readonly orders: number }> {
    const problems: string[] = [];
    let orders = 0;
    for (const early of [1, 2] as const) {
      for (let steps = 0, isOver = false; !isOver && problems.length === 0; steps++, orders++) {
        const { first, second, judge } = await prepare();
        const sessions = new GatedSessions(this.house.sql, () => this.client());
        for (const act of [first, second]) await sessions.begin(act);
        for (let n = 0; n < steps && !isOver; n++) isOver = (await sessions.advance(early)) !== 'gate';
        await sessions.finish(3 - early);
        const outcomes = await sessions.finishAll();
        const failed = outcomes.filter((outcome) => outcome instanceof Error).map((error) => (error as Error).message);
        const found = [...failed, ...(failed.length > 0 ? [] : await judge(outcomes)), ...(await violations(this.house.sql))];
        problems.push(...found.map((problem) => `session ${early} was ${steps} statements ahead: ${problem}`));
      }
    }
    return { problems, orders };
  }

  private act(fn: string, args: readonly string[]): Act {
    const places = args.map((_, at) => `$${at + 1}::json`).join(', ');
    return async (client) => (await client.query<{ answer: unknown }>(`SELECT ${fn}(${places}) AS answer`, [...args])).rows[0]!.answer;
  }

  private async client(): Promise<pg.Client> {
    if (this.clients.length < 2) this.clients.push(await this.house.client());
    return this.clients[this.taken++ % 2]!;
  }
}
