import type { DataSource, QueryResult, QueryRunner } from 'typeorm';
import type { SqlRow } from './sql-session.interface.js';

export async function connectedRunner(dataSource: DataSource): Promise<QueryRunner> {
  const runner = dataSource.createQueryRunner('master');
  await runner.connect();
  return runner;
}

export const recordsOf = (result: QueryResult): SqlRow[] => result.records as SqlRow[];
export const affectedOf = (result: QueryResult): number => result.affected ?? 0;
