export const TASKS_TABLE = 'taskflow_tasks';
export const EVENTS_TABLE = 'taskflow_events';
export const CURSOR_TABLE = 'taskflow_cursor';
export const DEAD_ENTRIES_TABLE = 'taskflow_dead_entries';
export const NODES_TABLE = 'taskflow_nodes';
export const RETIRED_KEYS_TABLE = 'taskflow_retired_keys';
export const SCHEDULES_TABLE = 'taskflow_schedules';
export const MIGRATIONS_TABLE = 'taskflow_migrations';

export const TASK_INDEXES = {
  keyHash: 'taskflow_tasks_key_hash',
  home: 'taskflow_tasks_home',
  status: 'taskflow_tasks_status',
  created: 'taskflow_tasks_created',
  user: 'taskflow_tasks_user',
  deadLetters: 'taskflow_tasks_dead_letters',
  prunable: 'taskflow_tasks_prunable',
} as const;
export const DEAD_ENTRY_TASK_INDEX = 'taskflow_dead_entries_task';
export const DEAD_ENTRY_LOG_INDEX = 'taskflow_dead_entries_log';
export const DEAD_ENTRY_KEY_INDEX = 'taskflow_dead_entries_key_hash';

export const RETIRED_KEY_TIME_INDEX = 'taskflow_retired_keys_time';

/** Quoted, and inside its schema where one is configured. Both dialects read double quotes. */
export const qualifiedName = (schema: string | undefined, name: string): string =>
  schema === undefined ? `"${name}"` : `"${schema}"."${name}"`;

/** Each as `qualifiedName` says. */
export interface TableNames {
  readonly tasks: string;
  readonly events: string;
  readonly cursor: string;
  readonly deadEntries: string;
  readonly nodes: string;
  readonly retiredKeys: string;
  readonly schedules: string;
  readonly migrations: string;
}

export function tableNames(schema: string | undefined): TableNames {
  const named = (table: string): string => qualifiedName(schema, table);
  return {
    tasks: named(TASKS_TABLE),
    events: named(EVENTS_TABLE),
    cursor: named(CURSOR_TABLE),
    deadEntries: named(DEAD_ENTRIES_TABLE),
    nodes: named(NODES_TABLE),
    retiredKeys: named(RETIRED_KEYS_TABLE),
    schedules: named(SCHEDULES_TABLE),
    migrations: named(MIGRATIONS_TABLE),
  };
}
