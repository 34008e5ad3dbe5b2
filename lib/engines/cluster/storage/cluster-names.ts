import { tableNames } from '../../../repository/schema-names.js';

export const CLUSTER_MIGRATIONS_TABLE = 'taskflow_cluster_migrations';

/** Functions by what they do; the number grows when one of them changes, and the old one stays for the nodes of the last release. */
export const FUNCTIONS = {
  submit: 'taskflow_submit_v1',
  insert: 'taskflow_insert_v1',
  claim: 'taskflow_claim_v1',
  take: 'taskflow_take_v1',
  apply: 'taskflow_apply_v1',
  step: 'taskflow_step_v1',
  due: 'taskflow_due_v1',
  register: 'taskflow_register_v1',
  beat: 'taskflow_beat_v1',
  leave: 'taskflow_leave_v1',
  reap: 'taskflow_reap_v1',
  hold: 'taskflow_hold_v1',
  sweep: 'taskflow_sweep_v1',
  trim: 'taskflow_trim_v1',
} as const;

type FunctionNames = { readonly [K in keyof typeof FUNCTIONS]: string };

/** Quoted, and inside the schema where one is configured. */
export interface ClusterNames {
  readonly tasks: string;
  readonly events: string;
  readonly retiredKeys: string;
  readonly queue: string;
  readonly runs: string;
  readonly members: string;
  readonly turns: string;
  readonly windows: string;
  readonly admissions: string;
  readonly holds: string;
  readonly migrations: string;
  readonly fn: FunctionNames;
}

export function clusterNames(schema: string | undefined): ClusterNames {
  const named = (name: string): string => (schema === undefined ? `"${name}"` : `"${schema}"."${name}"`);
  const { tasks, events, retiredKeys } = tableNames(schema);
  return {
    tasks,
    events,
    retiredKeys,
    queue: named('taskflow_queue'),
    runs: named('taskflow_runs'),
    members: named('taskflow_members'),
    turns: named('taskflow_turns'),
    windows: named('taskflow_windows'),
    admissions: named('taskflow_admissions'),
    holds: named('taskflow_holds'),
    migrations: named(CLUSTER_MIGRATIONS_TABLE),
    fn: Object.fromEntries(Object.entries(FUNCTIONS).map(([key, name]) => [key, named(name)])) as FunctionNames,
  };
}
