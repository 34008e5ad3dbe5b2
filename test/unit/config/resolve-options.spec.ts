import { describe, expect, it } from '@jest/globals';
import { resolveOptions } from '../../../lib/config/resolve-options.js';
import { ConfigValidationError } from '../../../lib/errors/config.errors.js';

/** The documented defaults. */
const DEFAULTS = {
  engine: 'local',
  eventLog: {
    eventLogPath: './.taskflow/events.log',
    maxSizeBytesPerFile: 10_485_760,
    maxAgePerFile: 3_600_000,
    retentionCount: 5,
    maxUnflushedBytes: 1024 ** 3,
    minFreeBytes: 512 * 1024 ** 2,
    lockTimeoutMs: 45_000,
    onFailure: 'stay',
  },
  flush: {
    flushIntervalMs: 1000,
    maxBatchSize: 1000,
    circuitBreakerThreshold: 5,
    circuitBreakerDurationMs: 30_000,
    worker: 'process',
  },
  guard: {
    backpressure: {
      maxTasksPerWindow: 1000,
      maxTasksPerUserWindow: 100,
      windowSizeMs: 60_000,
      maxQueuedSize: 500,
      maxDelayedSize: 100_000,
    },
    slots: { maxExecutionGlobal: 50, maxExecutionPerUser: 10, slotTimeoutMs: 30_000 },
    dlq: { maxSize: 1000, ttlMs: 86_400_000, maxRetries: 3 },
  },
  stream: {
    streamBufferSize: 100,
    streamRetentionMs: 60_000,
    maxSubscribersPerTask: 50,
    maxSubscribersPerUser: 100,
    maxSubscribers: 5000,
    keepAliveMs: 15_000,
    maxAgeMs: 1_800_000,
    exposeErrorMessages: false,
  },
  executor: {
    enabled: true,
    heartbeatIntervalMs: 5000,
    defaultTimeoutMs: 300_000,
    tickIntervalMs: 100,
    retry: { maxAttempts: 3, initialDelayMs: 1000, maxDelayMs: 30_000, backoffMultiplier: 2, jitter: true },
  },
  recovery: { staleThresholdMs: 30_000, scanIntervalMs: 10_000, maxConcurrentRecoveries: 5, maxRecoveriesPerTask: 5 },
  cluster: { leaseTtlMs: 10_000, beatIntervalMs: 3_000, listen: true, pollIntervalMs: 1_000, maxExecutionPerNode: 50 },
  shutdown: { timeoutMs: 20_000, forceKillTimeoutMs: 5_000 },
  limits: { maxInputBytes: 256 * 1024, maxEventBytes: 64 * 1024, maxResultBytes: 1024 ** 2, maxDepth: 64 },
  retention: { completedTtlMs: 7 * 86_400_000, failedTtlMs: 30 * 86_400_000, sweepIntervalMs: 60_000 },
};

type Leaf = readonly [path: string, value: unknown];
const leaves = (value: object, path = ''): Leaf[] =>
  Object.entries(value).flatMap(([key, member]): Leaf[] => {
    const at = path === '' ? key : `${path}.${key}`;
    return typeof member === 'object' && member !== null ? leaves(member as object, at) : [[at, member]];
  });
const nest = (path: string, value: unknown): Record<string, unknown> =>
  path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Record<string, unknown>;

function issuesOf(input: Record<string, unknown>): ConfigValidationError['issues'] {
  try {
    resolveOptions(input);
  } catch (error) {
    if (ConfigValidationError.is(error)) return error.issues;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(input)}`);
}
const pathsOf = (input: Record<string, unknown>): string[] => issuesOf(input).map((issue) => issue.path);

describe('resolveOptions', () => {
  it('gives every default of the design, and nothing else', () => {
    const { repository, hooks, ...branches } = resolveOptions();
    expect(JSON.parse(JSON.stringify(branches))).toEqual(DEFAULTS);
    expect({ ...repository }).toEqual({ type: 'sqlite', database: './.taskflow/tasks.db', connector: undefined, repository: undefined });
    expect(hooks).toBeUndefined();
  });

  it.each(leaves(DEFAULTS))('takes %s from the user', (path, value) => {
    const other =
      typeof value === 'number'
        ? value * (path.startsWith('limits.') ? 4 : 100)
        : ({ local: 'cluster', stay: 'exit', process: 'inline', true: false, false: true }[String(value)] ?? 'elsewhere.log');
    const companions: Record<string, Record<string, unknown>> = {
      engine: { repository: { type: 'postgres' } },
      'executor.heartbeatIntervalMs': { recovery: { staleThresholdMs: 10 ** 7 } },
      'cluster.beatIntervalMs': { cluster: { beatIntervalMs: other, leaseTtlMs: 10 ** 6 } },
    };
    const input =
      path === 'guard.dlq.ttlMs'
        ? { ...nest(path, other), retention: { failedTtlMs: other } }
        : { ...nest(path, other), ...companions[path] };
    expect(leaves(resolveOptions(input as object)).find(([at]) => at === path)).toEqual([path, other]);
  });

  it.each(
    leaves(DEFAULTS)
      .filter(([path, value]) => typeof value === 'number' && path !== 'executor.retry.backoffMultiplier')
      .map(([path]) => path),
  )('refuses a value of %s that fits neither frame, column nor date, and says the largest that does', (path) => {
    const messageFor = (value: number): string => {
      try {
        resolveOptions(nest(path, value));
        return 'was accepted';
      } catch (error) {
        return (error as Error).message;
      }
    };
    for (const value of [2 ** 53, 1e300]) expect(messageFor(value)).toContain(`${path}: must not be greater than `);
    const largest = Number(/must not be greater than (\d+)/.exec(messageFor(1e300))![1]);
    expect(messageFor(largest + 1)).toContain(`${path}: must not be greater than ${largest}`);
    // Another option may have to be larger still; the value itself is right.
    expect(messageFor(largest)).not.toContain(`${path}: must not`);
    if (path.endsWith('Ms')) expect(new Date(Date.now() + largest).getTime()).toBeGreaterThan(Date.now());
    if (path.startsWith('limits.max') && path.endsWith('Bytes')) expect(largest).toBeLessThan(8 * 1024 * 1024);
    if (path === 'executor.retry.maxAttempts' || path === 'recovery.maxRecoveriesPerTask') expect(largest).toBeLessThan(2 ** 31);
  });

  it('takes the default for a member that is undefined, as from an unset variable', () => {
    const options = resolveOptions({
      eventLog: undefined,
      guard: { slots: undefined, dlq: { maxSize: undefined } },
      hooks: undefined,
      repository: undefined,
    });
    expect(JSON.parse(JSON.stringify(options))).toEqual(JSON.parse(JSON.stringify(resolveOptions())));
  });

  it.each(
    leaves(DEFAULTS)
      .filter(([, value]) => typeof value === 'number')
      .map(([path]) => path),
  )('refuses what is no amount in %s', (path) => {
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5', '', null, true, {}, [1], () => 1])
      expect(pathsOf(nest(path, bad))).toEqual([path]);
    if (path !== 'executor.retry.backoffMultiplier') expect(pathsOf(nest(path, 1.5))).toEqual([path]);
  });

  it.each(
    leaves(DEFAULTS)
      .filter(([, value]) => typeof value !== 'number')
      .map(([path]) => path),
  )('refuses another kind of value in %s', (path) => {
    for (const bad of [1, '', null, {}, []]) expect(pathsOf(nest(path, bad))).toEqual([path]);
  });

  it.each(['eventLog', 'guard', 'guard.slots', 'executor.retry', 'repository', 'retention'])(
    'refuses a branch %s that is no object of options',
    (path) => {
      for (const bad of [null, 1, 'x', [], new Map(), new Date(0), Promise.resolve({}), () => 1])
        expect(pathsOf(nest(path, bad))).toEqual([path]);
    },
  );

  it('names every fault in one error', () => {
    const input = {
      guard: { backpressure: { windowSizeMs: '60000' }, slot: {} },
      flush: { maxBatchSize: 0 },
      executor: { retry: { jitter: 'yes' } },
    };
    expect(pathsOf(input)).toEqual(['guard.backpressure.windowSizeMs', 'guard.slot', 'flush.maxBatchSize', 'executor.retry.jitter']);
    expect(() => resolveOptions(input as object)).toThrow(/guard\.backpressure\.windowSizeMs: .*Number\(…\)/);
  });

  it.each([
    ['eventlog', 'eventLog'],
    ['guards', 'guard'],
    ['guard.backpresure', 'backpressure'],
    ['guard.backpressure.windowSize', 'windowSizeMs'],
    ['flush.flushInterval', 'flushIntervalMs'],
    ['executor.retry.maxAttempt', 'maxAttempts'],
    ['repository.databse', 'database'],
  ])('answers the unknown name %s with the nearest known one', (path, nearest) => {
    expect(issuesOf(nest(path, 1))).toEqual([{ path, message: `unknown option; the nearest known name is "${nearest}"` }]);
  });

  it('refuses keys that reach for a prototype, and leaves prototypes alone', () => {
    const polluting = JSON.parse(
      '{"__proto__":{"a":1},"guard":{"__proto__":{"a":1},"constructor":{"prototype":{"a":1}}},"repository":{"__proto__":{"type":"postgres"},"constructor":1}}',
    ) as Record<string, unknown>;
    expect(pathsOf(polluting).sort()).toEqual([
      '__proto__',
      'guard.__proto__',
      'guard.constructor',
      'repository.__proto__',
      'repository.constructor',
    ]);
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });

  it('refuses a stale threshold below three heartbeats', () => {
    expect(pathsOf({ executor: { heartbeatIntervalMs: 10_001 } })).toEqual(['recovery.staleThresholdMs']);
    expect(pathsOf({ recovery: { staleThresholdMs: 14_999 } })).toEqual(['recovery.staleThresholdMs']);
    expect(resolveOptions({ recovery: { staleThresholdMs: 15_000 } }).recovery.staleThresholdMs).toBe(15_000);
  });

  it('refuses a lease below three signs of life', () => {
    expect(pathsOf({ cluster: { beatIntervalMs: 3_334 } })).toEqual(['cluster.leaseTtlMs']);
    expect(pathsOf({ cluster: { leaseTtlMs: 8_999 } })).toEqual(['cluster.leaseTtlMs']);
    expect(resolveOptions({ cluster: { leaseTtlMs: 9_000 } }).cluster.leaseTtlMs).toBe(9_000);
  });

  it('refuses an option that this version does not read', () => {
    expect(pathsOf({ cluster: { idleAfterMs: 60_000 } })).toEqual(['cluster.idleAfterMs']);
    expect(pathsOf({ cluster: { idleAfterMs: 1 } })).toEqual(['cluster.idleAfterMs']);
  });

  it('refuses a cluster on storage that nodes cannot share, and says what they can', () => {
    for (const repository of [undefined, { type: 'sqlite' }, { type: 'custom', repository: {} }])
      expect(issuesOf({ engine: 'cluster', repository })).toEqual([
        { path: 'engine', message: expect.stringContaining("needs repository.type 'postgres' or 'lakebase'") },
      ]);
    expect(resolveOptions({ engine: 'cluster', repository: { type: 'postgres' } }).engine).toBe('cluster');
  });

  it('refuses to prune failed tasks before their dead letters expire', () => {
    expect(pathsOf({ retention: { failedTtlMs: 86_399_999 } })).toEqual(['retention.failedTtlMs']);
    expect(resolveOptions({ retention: { failedTtlMs: 86_400_000 } }).retention.failedTtlMs).toBe(86_400_000);
  });

  it('freezes the result through and through, and leaves the input alone', () => {
    const input = { guard: { slots: { maxExecutionGlobal: 7 } } };
    const options = resolveOptions(input);
    const walk = (value: object): void => {
      expect(Object.isFrozen(value)).toBe(true);
      for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) walk(member as object);
    };
    walk(options);
    expect(Object.isFrozen(input.guard.slots)).toBe(false);
    expect(() => Object.assign(options.guard.slots, { maxExecutionGlobal: 8 })).toThrow(TypeError);
  });

  it('passes hooks, connectors, custom repositories and what is TypeORM’s by reference, unfrozen and unread', () => {
    const unreadable = (): any => new Proxy({}, { get: () => { throw new Error('read'); }, ownKeys: () => { throw new Error('listed'); } }); // prettier-ignore
    const [hooks, connector, repository, ssl] = [unreadable(), unreadable(), unreadable(), { ca: 'x' }];
    expect(resolveOptions({ hooks }).hooks).toBe(hooks);
    expect(resolveOptions({ repository: { type: 'lakebase', connector } }).repository.connector).toBe(connector);
    expect(resolveOptions({ repository: { type: 'custom', repository } }).repository.repository).toBe(repository);
    const postgres = resolveOptions({ repository: { type: 'postgres', url: 'postgres://x', ssl, extra: { max: 3 } } }).repository;
    expect(postgres).toMatchObject({ type: 'postgres', url: 'postgres://x', database: undefined, extra: { max: 3 } });
    expect(postgres['ssl']).toBe(ssl);
    expect(Object.isFrozen(ssl)).toBe(false);
  });

  it('wants storage of one’s own together with its type', () => {
    expect(pathsOf({ repository: { type: 'custom' } })).toEqual(['repository.repository']);
    expect(pathsOf({ repository: { type: 'lakebase' } })).toEqual(['repository.connector']);
    expect(pathsOf({ repository: { repository: {} } })).toEqual(['repository.repository']);
    expect(pathsOf({ repository: { connector: {} } })).toEqual(['repository.connector']);
    expect(pathsOf({ repository: { type: 'oracle' } })).toEqual(['repository.type']);
    expect(pathsOf({ repository: { type: 'sqlite', database: '' } })).toEqual(['repository.database']);
    expect(pathsOf({ repository: { type: 'custom', repository: {}, host: 'x' } })).toEqual(['repository.host']);
  });

  it("makes a connection of our own from a DataSource: where it leads to, without what is the host's own", () => {
    const password = (): string => 'secret';
    const dataSource = {
      options: { type: 'postgres', host: 'db', password, entities: [class Order {}], logger: {}, logging: true, extra: { max: 3 } },
    };
    const { repository } = resolveOptions({ repository: { type: 'typeorm', dataSource } });
    expect({ ...repository }).toEqual({ type: 'postgres', host: 'db', password, extra: { max: 3 } });
    for (const type of ['sqlite', 'better-sqlite3'])
      expect(
        resolveOptions({ repository: { type: 'typeorm', dataSource: { options: { type, database: 'x.db' } } } }).repository,
      ).toMatchObject({
        type,
        database: 'x.db',
      });
    expect(issuesOf({ repository: { type: 'typeorm', dataSource: { options: { type: 'mssql' } } } })).toEqual([
      { path: 'repository.dataSource', message: "is of type 'mssql'; supported are sqlite, better-sqlite3, postgres" },
    ]);
    expect(pathsOf({ repository: { type: 'typeorm' } })).toEqual(['repository.dataSource']);
    expect(pathsOf({ repository: { type: 'typeorm', dataSource, host: 'other' } })).toEqual(['repository.host']);
    expect(pathsOf({ repository: { type: 'typeorm', dataSource: { options: { type: 'sqlite', database: ':memory:' } } } })).toEqual([
      'repository.database',
    ]);
    expect(pathsOf({ repository: { type: 'postgres', dataSource } })).toEqual(['repository.dataSource']);
    expect(pathsOf({ repository: { datasource: dataSource } })).toEqual(['repository.datasource']);
  });

  it('shows no text that was given, as it may be a secret', () => {
    const issues = issuesOf({ flush: { maxBatchSize: 'hunter2' }, eventLog: 'hunter2', repository: { type: 'hunter2' } });
    expect(issues).toHaveLength(3);
    expect(JSON.stringify(issues)).not.toContain('hunter2');
  });

  it('gives the same for options that it resolved before', () => {
    const once = resolveOptions({ flush: { worker: 'inline' } });
    expect(resolveOptions(once)).toEqual(once);
  });
});
