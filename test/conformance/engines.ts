import type { EngineKind } from './engine-under-test.js';
import { CLUSTER } from './engines/cluster.js';
import { LOCAL } from './engines/local.js';

/**
 * Every engine there is. A new one is a file in `engines/` that implements `EngineUnderTest`, and a name here. One that needs a server
 * takes TASKFLOW_TEST_PG_URL, which jest sets for this project (`test/support/database/postgres-setup.mjs`), else says in `missing` why not.
 *
 * The cluster engine is a preview that does not pass all of it yet: TASKFLOW_CONFORMANCE=all has it tried, too.
 */
export const ENGINES: readonly EngineKind[] = process.env['TASKFLOW_CONFORMANCE'] === 'all' ? [LOCAL, CLUSTER] : [LOCAL];
