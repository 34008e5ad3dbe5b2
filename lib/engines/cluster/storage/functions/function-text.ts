/** What a function of ours is made of. `declare` and `body` are plpgsql. */
export interface FunctionParts {
  /** Quoted. */
  readonly name: string;
  readonly parameters: string;
  readonly returns: string;
  readonly declare: string;
  readonly body: string;
}

/**
 * Settings of the call: a plan made once, and made of index scans however full a table was then. JIT compiles whatever looks expensive,
 * which switched-off scans do.
 */
const SETTINGS = ['plan_cache_mode = force_generic_plan', 'enable_seqscan = off', 'jit = off'];

export const functionText = ({ name, parameters, returns, declare, body }: FunctionParts): string =>
  `CREATE FUNCTION ${name}(${parameters}) RETURNS ${returns} LANGUAGE plpgsql VOLATILE ${SETTINGS.map((each) => `SET ${each}`).join(' ')} SET search_path FROM CURRENT AS $body$
DECLARE
${declare}
BEGIN
${body}
END
$body$`;

/**
 * First in each function that a node calls. With any other isolation a statement behind a lock would see what was before it. Whatever
 * the session's default is, an answered commit is on the disk: as a setting of the function it would end before the commit.
 */
export const opening = (lockMs: string): string => `  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'taskflow needs READ COMMITTED' USING ERRCODE = 'TF001';
  END IF;
  PERFORM set_config('synchronous_commit', 'on', true);
  PERFORM set_config('lock_timeout', ${lockMs}, true);`;

/** Epoch ms now, and not when the transaction began: it may have waited for a lock since. */
export const CLOCK_MS = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`;
