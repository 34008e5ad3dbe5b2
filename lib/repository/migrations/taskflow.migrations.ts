import type { MigrationInterface } from 'typeorm';
import { MIGRATIONS_TABLE } from '../schema-names.js';
import { CancelReason1794700800000 } from './cancel-reason.migration.js';
import { InitialSchema1764000000000 } from './initial-schema.migration.js';
import { KeysAndExpiry1795824000000 } from './keys-and-expiry.migration.js';

/** A list of migrations, and where it is written down how far a database is. */
export interface OwnSchema {
  /** In order. One that was released is never changed. */
  readonly migrations: readonly (new () => MigrationInterface & { readonly name: string })[];
  readonly table: string;
  /** True where every migration leaves what older processes use. */
  readonly mayBeNewer: boolean;
}

/** What every engine with a database of ours has. */
export const TASKFLOW_SCHEMA: OwnSchema = {
  migrations: [InitialSchema1764000000000, CancelReason1794700800000, KeysAndExpiry1795824000000],
  table: MIGRATIONS_TABLE,
  mayBeNewer: false,
};

/** TypeORM's rule: the last 13 characters of the name are its time. Of the instance's name: a bundler may rename the class. */
export const newestMigration = ({ migrations }: OwnSchema): number =>
  Math.max(...migrations.map((migration) => Number(new migration().name.slice(-13))));
