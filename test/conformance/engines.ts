import type { EngineKind } from './engine-under-test.js';
import { LOCAL } from './engines/local.js';

/**
 * Every engine there is. A new one is a file in `engines/` that implements `EngineUnderTest`, and a name here. One that needs a server
 * takes TASKFLOW_TEST_PG_URL, which jest sets for this project (`test/support/database/postgres-setup.mjs`), else says in `missing` why not.
 */
export const ENGINES: readonly EngineKind[] = [LOCAL];
