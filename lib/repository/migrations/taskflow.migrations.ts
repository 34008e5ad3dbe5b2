import { CancelReason1794700800000 } from './cancel-reason.migration.js';
import { InitialSchema1764000000000 } from './initial-schema.migration.js';
import { KeysAndExpiry1795824000000 } from './keys-and-expiry.migration.js';

/** In order. One that was released is never changed. */
export const TASKFLOW_MIGRATIONS = [InitialSchema1764000000000, CancelReason1794700800000, KeysAndExpiry1795824000000] as const;

/** TypeORM's rule: the last 13 characters of the name are its time. Of the instance's name: a bundler may rename the class. */
export const NEWEST_MIGRATION = Math.max(...TASKFLOW_MIGRATIONS.map((migration) => Number(new migration().name.slice(-13))));
