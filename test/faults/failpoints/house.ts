import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Arm, DoomedApp } from '../../support/process/doomed-app.js';
import { executeOnSqlite, withDead } from '../../support/oracle/log-and-rows.js';
import { type PlainDatabase, plainPostgres, plainSqlite } from '../../support/database/plain-database.js';
import { stageOf } from './cases.js';
import { faultsAfterKill, faultsAtEnd, type FinalAnswer, type Found, type Note, readNotes } from './judge.js';
import { retainedLines } from './retained-log.js';
import { PATIENCE_MS } from '../../support/clock/patience.js';

const APP = new URL('./app.mjs', import.meta.url);
const ACKS_BEFORE_END = 12;

export interface Setting {
  readonly database: 'sqlite' | 'postgres' | ((folder: string) => PlainDatabase);
  readonly eventLog?: object;
  readonly flush?: object;
  /** Ended tasks are pruned at once. */
  readonly prunes?: boolean;
  /** SQLite refuses rows of some tasks from their third entry on. */
  readonly poisons?: boolean;
}

/** One folder and one database that live through many deaths. */
export class House {
  kills = 0;
  private lives = 0;
  private app: DoomedApp | undefined;

  private constructor(
    readonly folder: string,
    readonly database: PlainDatabase,
    private readonly setting: Setting,
  ) {}

  static async build(setting: Setting): Promise<House> {
    const folder = await mkdtemp(join(tmpdir(), 'taskflow-failpoints-'));
    const { database } = setting;
    if (database === 'postgres') return new House(folder, await plainPostgres(), setting);
    const house = new House(folder, database === 'sqlite' ? plainSqlite(folder) : database(folder), setting);
    if (setting.poisons === true) await house.poison();
    return house;
  }

  /** Once there are tables. */
  private async poison(): Promise<void> {
    await this.finish();
    await executeOnSqlite(
      join(this.folder, 'tasks.db'),
      `CREATE TRIGGER poison BEFORE INSERT ON taskflow_tasks WHEN NEW.name = 'flaky' AND NEW.last_seq >= 3 BEGIN SELECT RAISE(ABORT, 'no'); END`,
    );
  }

  /** A life that ends at this failpoint, with all that must hold afterwards. */
  async die(arm: Arm): Promise<void> {
    const stage = stageOf(arm.point);
    while (stage === 'start' && !(await this.diesAtStart(arm)));
    if (stage === 'start') return;
    const app = this.start([arm]);
    app.tell('load');
    if (stage === 'stop') await this.acks(app).then(() => app.tell('stop'));
    await this.expectDeath(app, arm);
  }

  /** False: there was nothing to take up. Then the next start has something: this life is killed under load. */
  private async diesAtStart(arm: Arm): Promise<boolean> {
    const app = this.start([arm]);
    const isReady = await Promise.race([
      app.isReady().then(
        () => true,
        () => false,
      ),
      app.exited().then(() => false),
    ]);
    if (!isReady) {
      await this.expectDeath(app, arm);
      return true;
    }
    app.tell('load');
    await this.acks(app);
    await app.end();
    await this.inspect('a kill under load');
    return false;
  }

  private async expectDeath(app: DoomedApp, arm: Arm): Promise<void> {
    const signal = await this.deadline(app, app.exited(), arm);
    await app.alone();
    if (signal !== 'SIGKILL') throw new Error(`${what(arm)}: it ended with ${signal}: ${app.stderr}`);
    if (!app.firings().some(({ arm: id }) => id === arm.id)) throw new Error(`${what(arm)}: something else killed it.`);
    this.kills++;
    await this.inspect(what(arm));
  }

  /** A life that goes on when its worker dies at each of these failpoints, and ends when it is told to. */
  async loseWorkers(arms: readonly Arm[]): Promise<void> {
    const app = this.start(arms);
    app.tell('load');
    const fired = () => app.firings().filter(({ arm }) => arms.some(({ id }) => id === arm)).length;
    for (let seen = 0, end = Date.now() + PATIENCE_MS; seen < arms.length; await pause(20)) {
      if (fired() > seen) [seen, end] = [fired(), Date.now() + PATIENCE_MS];
      if (app.hasExited) throw new Error(`It ended with ${await app.exited()}: ${app.stderr}`);
      if (Date.now() > end)
        throw new Error(
          `${arms
            .filter(({ id }) => !app.firings().some(({ arm }) => arm === id))
            .map(what)
            .join('; ')}: did not fire.`,
        );
    }
    this.kills += arms.length;
    app.tell('stop');
    await this.deadline(app, app.exited());
    await app.alone();
    await this.inspect('workers that died');
  }

  /** One more life, undisturbed: everything ends, and the app and its database say the same. @returns how many tasks there were. */
  async finish(): Promise<number> {
    return this.close(this.start([], { retention: {}, guard: ROOMY }));
  }

  /** The end of a life that nothing disturbs any more. @returns how many tasks there were. */
  async close(app: DoomedApp): Promise<number> {
    await app.isReady();
    await app.ask('rest');
    const notes = await this.notes();
    const ids = [...new Set(notes.flatMap((note) => (note.k === 'ack' ? [note.id] : [])))];
    const keys = notes.filter((note) => note.k === 'try');
    const answer = (await app.ask('finish', { ids, keys })) as FinalAnswer;
    expectNone('at the end', faultsAtEnd(await this.found(), answer));
    app.tell('bye');
    await this.deadline(app, app.exited());
    await app.alone();
    return ids.length;
  }

  async tearDown(): Promise<void> {
    await this.app?.end();
    await this.database.drop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The next life. @param prepare shell text that runs first, in a mount namespace of its own. */
  start(arms: readonly Arm[], more: object = {}, prepare?: string): DoomedApp {
    const { eventLog, flush, prunes } = this.setting;
    const options = {
      repository: this.database.options,
      eventLog: {
        eventLogPath: join(this.folder, 'log', 'events.log'),
        maxSizeBytesPerFile: 6_000,
        retentionCount: 10_000,
        minFreeBytes: 0,
        ...eventLog,
      },
      flush: { flushIntervalMs: 15, maxBatchSize: 50, ...flush },
      guard: prunes ? { ...ROOMY, dlq: { ttlMs: 1 } } : ROOMY,
      stream: { maxSubscribers: 100_000, maxSubscribersPerUser: 100_000 },
      executor: { tickIntervalMs: 10, heartbeatIntervalMs: 200 },
      recovery: { staleThresholdMs: 1_000, scanIntervalMs: 500, maxRecoveriesPerTask: 1_000 },
      ...(prunes ? { retention: { completedTtlMs: 1, failedTtlMs: 1, sweepIntervalMs: 30 } } : {}),
      ...more,
    };
    this.lives++;
    this.app = DoomedApp.fork(
      APP,
      { options, ledger: join(this.folder, 'ledger.jsonl'), life: this.lives },
      arms,
      join(this.folder, 'firings.jsonl'),
      prepare,
    );
    return this.app;
  }

  /** Resolves when tasks run and wait, or it has ended. */
  async acks(app: DoomedApp): Promise<void> {
    const acks = async (): Promise<number> => (await this.notes()).filter(({ k, life }) => k === 'ack' && life === this.lives).length;
    for (let end = Date.now() + PATIENCE_MS; !app.hasExited && (await acks()) < ACKS_BEFORE_END; await pause(10))
      if (Date.now() > end) throw new Error(`It acknowledged too little: ${app.stderr}`);
  }

  private async deadline<T>(app: DoomedApp, promise: Promise<T>, arm?: Arm): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${arm === undefined ? 'Its end' : what(arm)} did not come: ${app.stderr}`)), PATIENCE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  async inspect(after: string): Promise<void> {
    expectNone(`after ${after}`, faultsAfterKill(await this.found()));
  }

  private notes(): Promise<Note[]> {
    return readNotes(join(this.folder, 'ledger.jsonl'));
  }

  private async found(): Promise<Found> {
    const rows = await this.database.rows();
    return {
      lines: await retainedLines(join(this.folder, 'log')),
      rows: this.setting.poisons === true ? withDead(rows) : rows,
      notes: await this.notes(),
    };
  }
}

const ROOMY = {
  backpressure: { maxTasksPerWindow: 1_000_000, maxTasksPerUserWindow: 1_000_000, maxQueuedSize: 1_000_000 },
  slots: { maxExecutionGlobal: 6, maxExecutionPerUser: 6 },
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const what = ({ point, hit, victim }: Arm): string => `${point}, hit ${hit}, ${victim}`;

function expectNone(when: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(`${faults.length} faults ${when}:\n${faults.slice(0, 10).join('\n')}`);
}
