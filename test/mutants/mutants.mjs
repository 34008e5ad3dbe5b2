import { DATABASE_MUTANTS } from './list/database.mjs';
import { FACT_MUTANTS } from './list/facts.mjs';
import { LOG_MUTANTS } from './list/log.mjs';
import { RUN_MUTANTS } from './list/runs.mjs';

/**
 * Deliberate breakages of the code, as data:
 * `file` and `edits`: a text that must be there exactly once, and what stands there instead; a third member names another file;
 * `promise`: the one that is broken by it; `breaks`: how;
 * `test`: the file, and a part of the name, of the tests of which at least one must fail then.
 */
export const MUTANTS = [...LOG_MUTANTS, ...FACT_MUTANTS, ...RUN_MUTANTS, ...DATABASE_MUTANTS];
