import { UsageError } from '../../../cli/arguments.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { type DatabaseTarget, databaseTarget, describeTarget } from '../../../repository/database-target.js';
import type { DatabasePorts } from '../../../repository/repository.ports.js';
import { clusterMigrationSql, madeMigrations, migrateCluster } from '../storage/cluster-schema.js';

/** Brings the schema to this version, or shows what that takes. Nodes may run meanwhile: a migration only adds. */
export async function migrate({ args, clock }: CommandContext): Promise<CommandResult> {
  if (args.database !== undefined) throw new UsageError("cluster migrate is for PostgreSQL: --url <url>, as engine 'cluster' needs it");
  // No file of a database is ever made here.
  const ports: DatabasePorts = { clock, ensureFile: () => Promise.resolve(), sharesProcessWithLog: false };
  if (args.print)
    return print(args.schema, args.url === undefined ? undefined : await madeMigrations(targetOf(args.url, args.schema), ports));
  if (args.url === undefined) throw new UsageError('cluster migrate needs the database: --url <url>');
  const target = targetOf(args.url, args.schema);
  const before = await madeMigrations(target, ports);
  await migrateCluster(target, ports);
  const made = [...(await madeMigrations(target, ports))].filter((name) => !before.has(name));
  const lines = made.length === 0 ? ['nothing to do'] : made.map((name) => `made   ${name}`);
  return { exitCode: 0, report: { database: describeTarget(target), made }, lines };
}

async function print(schema: string | undefined, made?: ReadonlySet<string>): Promise<CommandResult> {
  const sql = await clusterMigrationSql(schema, made);
  const lines = sql === '' ? ['-- nothing to do'] : sql.trimEnd().split('\n');
  return { exitCode: 0, report: { sql }, lines };
}

const targetOf = (url: string, schema: string | undefined): DatabaseTarget =>
  databaseTarget({ type: 'postgres', url, ...(schema === undefined ? {} : { schema }) });
