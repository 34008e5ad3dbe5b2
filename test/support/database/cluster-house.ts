import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { RepositoryOptions } from '../../../lib/config/repository.options.js';
import { taskId } from '../../../lib/contracts/ids.js';
import { fold } from '../../../lib/domain/fold.js';
import { changed, type TaskState } from '../../../lib/domain/task-state.js';
import type { EventRow, Move, NextPlace, SeenPlace } from '../../../lib/engines/cluster/storage/apply-call.interface.js';
import { ClusterDatabase } from '../../../lib/engines/cluster/storage/cluster-database.js';
import { type ClusterNames, clusterNames } from '../../../lib/engines/cluster/storage/cluster-names.js';
import { ClusterReads } from '../../../lib/engines/cluster/storage/cluster-reads.js';
import { migrateCluster } from '../../../lib/engines/cluster/storage/cluster-schema.js';
import type { ClaimCall } from '../../../lib/engines/cluster/storage/server-functions.js';
import type { NewTask, SubmitCall } from '../../../lib/engines/cluster/storage/submit-call.interface.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { databaseTarget, type DatabaseTarget } from '../../../lib/repository/database-target.js';
import { ensureFile, postgresDatabase, postgresUrl, type TestDatabase } from './test-databases.js';

export const hasPostgres = postgresUrl() !== undefined;
export const whereSkipped = hasPostgres ? '' : ` (SKIPPED: ${process.env['TASKFLOW_TEST_PG_SKIPPED'] ?? 'no server'})`;

/** A database of its own with the schema of the cluster, and nodes on it. */
export class ClusterHouse {
  private readonly nodes: ClusterDatabase[] = [];
  private readonly clients: pg.Client[] = [];
  readonly names: ClusterNames;

  private constructor(
    private readonly database: TestDatabase,
    readonly target: DatabaseTarget,
    readonly reads: ClusterReads,
    /** For questions of the test itself. */
    readonly sql: pg.Client,
  ) {
    this.names = clusterNames(undefined);
  }

  static async open(): Promise<ClusterHouse> {
    const database = await postgresDatabase();
    const target = databaseTarget(database.options as unknown as RepositoryOptions);
    await migrateCluster(target, PORTS);
    const reads = new ClusterReads(target, PORTS);
    await reads.open();
    const sql = new pg.Client(clientOptions(database));
    await sql.connect();
    // What a watch of the limits finds: see cluster-invariants.
    await sql.query('CREATE TABLE test_excess (what text)');
    return new ClusterHouse(database, target, reads, sql);
  }

  /** As `repository` and TypeORM name the database. */
  get options(): TestDatabase['options'] {
    return this.database.options;
  }

  async node(): Promise<ClusterDatabase> {
    const node = new ClusterDatabase(this.target, PORTS);
    await node.open();
    this.nodes.push(node);
    return node;
  }

  async client(): Promise<pg.Client> {
    const client = new pg.Client(clientOptions(this.database));
    await client.connect();
    client.on('error', () => undefined);
    this.clients.push(client);
    return client;
  }

  async state(id: string): Promise<TaskState | null> {
    return (await this.reads.findByIds([id], true)).get(taskId(id)) ?? null;
  }

  async types(id: string): Promise<string[]> {
    return (await this.reads.entriesAfter(id, 0, 1000)).map(({ type }) => type);
  }

  async rows<T>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    return (await this.sql.query(sql, parameters)).rows as T[];
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.close();
    for (const client of this.clients) await client.end().catch(() => undefined);
    await this.reads.close();
    await this.sql.end();
    await this.database.drop();
  }
}

const PORTS = { clock: new SystemClock(), ensureFile, sharesProcessWithLog: false };

const clientOptions = ({ options }: TestDatabase): pg.ClientConfig => ({
  host: options['host'] as string,
  port: options['port'] as number,
  user: options['username'] as string,
  password: options['password'] as string,
  database: options['database'] as string,
});

let made = 0;
/** Ids in the order in which they are made, as those of nodes are. */
export const freshId = (): string => {
  const n = (made += 1).toString(16).padStart(8, '0');
  return `0${n.slice(1, 8)}-0000-7000-8000-${randomUUID().slice(-12)}`;
};

export function newTask(members: Partial<Omit<NewTask, 'data'>> = {}): NewTask {
  const { key = null } = members;
  const task = {
    id: taskId(freshId()),
    name: 'work',
    key,
    userId: null,
    type: 'user',
    priority: 0,
    tags: [],
    inputHash: key === null ? null : 'hash',
    keyBase: 0,
    traceparent: null,
    maxAttempts: 3,
    timeoutMs: 60_000,
    runAt: null,
    delayMs: null,
    expiresAt: null,
    input: '{"n":1}',
    countsForUser: true,
    replaces: null,
    ...members,
  } as const;
  return { ...task, data: createdData(task) };
}

/** As `CreatedEntries` makes it: what is at its default is left out. */
function createdData(task: Omit<NewTask, 'data'>): string {
  const { name, maxAttempts, timeoutMs, tags } = task;
  const said = Object.entries({ ...task, tags: tags.length === 0 ? null : tags }).filter(
    ([member, value]) => CREATED.has(member) && value !== null && value !== 0,
  );
  return JSON.stringify({ name, maxAttempts, timeoutMs, ...Object.fromEntries(said) });
}

const CREATED = new Set(['userId', 'key', 'inputHash', 'keyBase', 'runAt', 'delayMs', 'expiresAt', 'priority', 'tags', 'traceparent']);

export const submitCall = (tasks: readonly NewTask[], members: Partial<SubmitCall> = {}): SubmitCall => ({
  me: 'node-a',
  tasks,
  all: false,
  window: { sizeMs: 60_000, max: 100_000, maxPerUser: 100_000 },
  queued: null,
  delayed: null,
  start: null,
  lockMs: 5_000,
  ...members,
});

export const claimCall = (members: Partial<ClaimCall> = {}): ClaimCall => ({
  me: 'node-a',
  handlers: [{ name: 'work', limit: null }],
  want: 50,
  limits: { all: 50, perUser: 10, recovering: 5, suspect: 1 },
  lockMs: 5_000,
  ...members,
});

interface Facts {
  readonly type: EventRow['type'];
  readonly data?: Record<string, unknown>;
  readonly me?: string;
}

/** A move as a node makes it: the next entry folded, from where the task was seen. */
export function moveOf(seen: TaskState, place: SeenPlace['place'], next: NextPlace, { type, data = {}, me = 'node-a' }: Facts): Move {
  const at = Math.max(seen.lastEventAt, Date.now());
  const seq = seen.lastSeq + 1;
  const entry = { type, at, attempt: seen.attempt, fence: seen.fence, taskId: seen.id, taskSeq: seq, owner: me, data } as const;
  const task = fold(seen, entry as Parameters<typeof fold>[1], seen.home)!;
  const body = Object.keys(data).length === 0 ? '' : JSON.stringify(data);
  return {
    seen: { place, fence: seen.fence, lastSeq: seen.lastSeq, ...seenBeside(place, seen) },
    next,
    task,
    entries: [{ seq, n: 1, type, at, attempt: seen.attempt, fence: seen.fence, data: body }],
  };
}

const seenBeside = (place: SeenPlace['place'], { deadLetteredAt, supersededBy }: TaskState): Partial<SeenPlace> =>
  place === 'ended' ? { deadLetteredAt, supersededBy } : {};

export const completion = (run: TaskState, me = 'node-a'): Move => {
  const move = moveOf(run, 'runs', { place: 'ended' }, { type: 'complete', data: { result: 1 }, me });
  return { ...move, seen: { ...move.seen, uncancelled: true } };
};

export const cancellation = (waiting: TaskState, me = 'node-a'): Move =>
  moveOf(waiting, 'queue', { place: 'ended' }, { type: 'cancelled', me });

export const rescue = (run: TaskState, me = 'node-a'): Move =>
  moveOf(run, 'runs', { place: 'queue', kind: 1, dueAt: null }, { type: 'recovered', data: { reason: 'stale', recoveries: 1 }, me });

/** Somebody asks for the end of a run, whatever it reported meanwhile. */
export const mark = (run: TaskState, reason?: string): Move => ({
  seen: { place: 'runs', fence: run.fence, lastSeq: null, uncancelled: true },
  next: { place: 'runs', cancelRequest: { at: Date.now(), ...(reason === undefined ? {} : { reason }) } },
  task: changed(run, {}),
  entries: [],
});

export const applyCall = (moves: readonly Move[], me = 'node-a') => ({ me, moves, lockMs: 5_000 });
