import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { postgresDatabase, postgresUrl, type TestDatabase } from '../database/test-databases.js';
import { EngineNode, type TestHandler } from './engine-node.js';

export const FAST = { leaseTtlMs: 2_000, beatIntervalMs: 500, pollIntervalMs: 200, maxExecutionPerNode: 10 } as const;

export interface TestCluster {
  readonly database: TestDatabase;
  /** A started node, of handlers without limits of their own; ended with the test. */
  node(handlers: Record<string, TestHandler>, options?: object, limits?: Record<string, number>): Promise<EngineNode>;
}

/** A database for the suite, and nodes for each of its tests. */
export function clusterOf(): TestCluster {
  let database: TestDatabase | undefined;
  const nodes: EngineNode[] = [];
  beforeAll(async () => {
    database = await postgresDatabase();
  });
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((each) => each.stop()));
  });
  afterAll(() => database?.drop());
  return {
    get database() {
      return database!;
    },
    async node(handlers, options = {}, limits = {}) {
      const made = new EngineNode({ repository: database!.options, cluster: FAST, ...options }, handlers, limits);
      nodes.push(made);
      return made.start();
    },
  };
}

export const hasPostgres = postgresUrl() !== undefined;
