import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from './ledger.mjs';
import { ANSWER_TIMEOUT_MS, Life } from './life.mjs';
import { randomOf } from './random.mjs';
import { appliedSeq, lastLoggedSeq, query, segmentsOf } from './storage-facts.mjs';
import { judgeAnswer, judgeLedger, judgeRows, Verdict } from './verdict.mjs';

const MIN_ACKS = 50;
const OLD_TASKS_PER_ROUND = 20;
const FINAL_CHUNK = 400;

/**
 * One folder that lives through many rounds. In each, an app (app.mjs) is started in it, asked about everything that its predecessors
 * acknowledged, put under load, and killed at a random moment. At the end one more app answers for all tasks, stops cleanly, and the
 * rows of the database are compared with the streams. The folder goes, unless a check failed.
 */
export class Campaign {
  #seed;
  #rounds;
  #random;
  #folder = mkdtempSync(join(tmpdir(), 'taskflow-crash-'));
  #ledger = new Ledger(join(this.#folder, 'ledger.jsonl'));
  #verdict = new Verdict();
  #lives = 0;
  #firstUnchecked = 1;
  #counts = { kills: 0, withRuns: 0, withUnflushed: 0, early: 0, deleted: 0 };

  constructor(seed, rounds) {
    this.#seed = seed;
    this.#rounds = rounds;
    this.#random = randomOf(seed);
  }

  /** Never rejects: what stops it is a violation, too. */
  async run() {
    console.log(`seed ${this.#seed}, folder ${this.#folder}`);
    let end = { durable: 0, events: 0, cancelled: 0, recovered: 0, startedAgain: 0 };
    try {
      for (let at = 1; at <= this.#rounds && this.#verdict.failed === 0; at++) {
        await this.#round();
        if (at % 10 === 0) console.log(`${at} of ${this.#rounds} rounds, ${this.#ledger.length} lines in the ledger (seed ${this.#seed})`);
      }
      const streams = await this.#finalRound();
      const events = Object.values(streams).flat();
      const ofType = (wanted) => events.filter(([, type]) => type === wanted).length;
      end = {
        durable: Object.keys(streams).length,
        events: events.length,
        cancelled: ofType('cancelled'),
        recovered: ofType('recovered'),
        startedAgain: judgeLedger(this.#verdict, this.#ledger),
      };
    } catch (error) {
      this.#verdict.check('the rounds run', [error.stack]);
    }
    this.#ledger.close();
    if (this.#verdict.failed > 0) console.log(`kept: ${this.#folder}`);
    else rmSync(this.#folder, { recursive: true, force: true });
    const acked = this.#ledger.all('ack').length;
    return { verdict: this.#verdict, counts: { ...this.#counts, ...end, acked, workersKilled: this.#ledger.all('worker-killed').length } };
  }

  async #round() {
    if (this.#lives > 0 && this.#random.chance(0.25)) await this.#killEarly();
    const asked = this.#questions(this.#firstUnchecked, this.#lives);
    const life = this.#start();
    await life.message();
    const answering = life.ask({ do: 'check', ...asked });
    life.tell({ do: 'load' });
    judgeAnswer(this.#verdict, this.#ledger, asked, await answering);
    this.#firstUnchecked = life.number;
    await this.#untilAcks(life);
    await sleep(this.#random.below(300));
    const oldest = segmentsOf(this.#folder)[0];
    await life.kill();
    this.#ledger.read();
    this.#counts.kills++;
    if (this.#ledger.inFlight(life.number) > 0) this.#counts.withRuns++;
    if (lastLoggedSeq(this.#folder) > (await appliedSeq(this.#folder))) this.#counts.withUnflushed++;
    if (oldest !== 'events-0000000000000001.log') this.#counts.deleted++;
  }

  /** Kills an app that is just starting, or just taking up what was left. */
  async #killEarly() {
    const life = this.#start();
    if (this.#random.chance(0.5)) {
      await life.message();
      await sleep(this.#random.below(150));
    } else {
      await sleep(200 + this.#random.below(700));
    }
    await life.kill();
    this.#ledger.read();
    this.#counts.early++;
  }

  /** One more app answers for every task there ever was, and stops cleanly. */
  async #finalRound() {
    const life = this.#start();
    await life.message();
    const streams = {};
    const all = { ...this.#questions(1, this.#lives), ids: [...new Set(this.#ledger.all('ack').map(({ id }) => id))] };
    const chunks = Math.max(1, Math.ceil(all.ids.length / FINAL_CHUNK));
    const part = (items, chunk) =>
      items.slice(Math.ceil((items.length * chunk) / chunks), Math.ceil((items.length * (chunk + 1)) / chunks));
    for (let chunk = 0; chunk < chunks; chunk++) {
      const asked = { ids: part(all.ids, chunk), keys: part(all.keys, chunk), tags: part(all.tags, chunk) };
      const answer = await life.ask({ do: 'check', ...asked });
      judgeAnswer(this.#verdict, this.#ledger, asked, answer);
      Object.assign(streams, answer.streams);
    }
    await life.ask({ do: 'stop' });
    const [code] = await life.gone;
    this.#ledger.read();
    this.#verdict.check('the last app stops cleanly', code === 0 ? [] : [`exit code ${code}\n${life.printed}`]);
    const rows = await query(this.#folder, 'SELECT "id", "status", "last_seq" FROM "taskflow_tasks"');
    const events = await query(
      this.#folder,
      'SELECT "task_id", count(*) AS "events", max("seq") AS "last" FROM "taskflow_events" GROUP BY "task_id"',
    );
    judgeRows(this.#verdict, rows, events, await query(this.#folder, 'SELECT "seq", "reason" FROM "taskflow_dead_entries"'), streams);
    return streams;
  }

  #start() {
    this.#ledger.acks = 0;
    return new Life(this.#folder, ++this.#lives, this.#seed);
  }

  /** All that lives `from` to `to` acknowledged or tried, and a few tasks that ended long ago. */
  #questions(from, to) {
    const isOf = ({ life }) => life >= from && life <= to;
    const acks = this.#ledger.all('ack');
    const older = acks.filter(({ life }) => life < from);
    const some = older.length === 0 ? [] : Array.from({ length: OLD_TASKS_PER_ROUND }, () => this.#random.pick(older));
    return {
      ids: [...new Set([...acks.filter(isOf), ...some].map(({ id }) => id))],
      keys: this.#ledger
        .all('try')
        .filter(isOf)
        .map(({ key, userId, name, input, life }) => ({ key, userId, name, input, tag: `life-${life}` })),
      tags: Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => `life-${from + at}`),
    };
  }

  async #untilAcks(life) {
    for (const until = performance.now() + ANSWER_TIMEOUT_MS; this.#ledger.acks < MIN_ACKS;) {
      await sleep(10);
      this.#ledger.read();
      if (performance.now() > until) throw new Error(`only ${this.#ledger.acks} tasks acknowledged\n${life.printed}`);
    }
  }
}
