import { parseArgs } from 'node:util';
import type { TaskStatus } from '../contracts/task.interface.js';

export const COMMANDS = {
  log: ['inspect', 'verify', 'export', 'repair', 'adopt', 'retry-dead'],
  tasks: ['list', 'show', 'retry', 'cancel'],
  cluster: ['migrate'],
} as const;
export type Topic = keyof typeof COMMANDS;
export type CommandName = (typeof COMMANDS)[Topic][number];

export interface Arguments {
  readonly topic: Topic;
  readonly command: CommandName;
  /** The eventLogPath, or its folder. */
  readonly path: string;
  /** `adopt` alone: the log whose tasks are taken over. */
  readonly home: string;
  readonly json: boolean;
  /** Without it nothing is changed. */
  readonly yes: boolean;
  readonly rebuild: boolean;
  /** `cluster migrate` alone: shows what it would run. */
  readonly print: boolean;
  readonly database: string | undefined;
  readonly driver: 'sqlite3' | 'better-sqlite3';
  readonly url: string | undefined;
  readonly schema: string | undefined;
  readonly from: number;
  readonly to: number;
  readonly task: string | undefined;
  /** Of `list`: undefined, whatever it is; an empty user: tasks without one. */
  readonly status: TaskStatus | undefined;
  readonly name: string | undefined;
  readonly tag: string | undefined;
  readonly user: string | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** What was asked cannot be understood: exit code 2. */
export class UsageError extends Error {}

export const USAGE = `Usage: taskflow log <command> [<path>] [options]
       taskflow tasks <command> [options]
       taskflow cluster migrate [--print] [--url <url>] [--schema <name>]
       taskflow --version

<path> is the eventLogPath, or the folder that it is in. Default: ./.taskflow/events.log

  inspect     what the log is made of, who holds it, how far the database is
  verify      reads every byte and names what is damaged; exit code 1 if anything is
  export      entries as JSON lines, of frames that are proven   [--from <seq>] [--to <seq>] [--task <id>]
  repair      sets damaged files aside and keeps all that is proven; needs the lock of the log
              --rebuild: applies what the log retains to a fresh database
  adopt <log id> [<path>]
              moves the unfinished tasks of a lost log to this one; needs the lock of the log, and the database
  retry-dead  applies entries again that the database refused   [--task <id>]

  tasks list               newest first, from the rows: what the log has not flushed yet is not in them
                           [--status <status>] [--name <task>] [--tag <tag>] [--user <id>] [--limit <n>] [--cursor <cursor>]
  tasks show <id>          a task and its events, from the rows
  tasks retry <id> [<path>], tasks cancel <id> [<path>]
                           a new life, or an end, for a task of a system that does not run; need the lock of its log

  cluster migrate          brings the schema of engine 'cluster' to this version, while nodes run; needs the right to create
                           --print: shows the SQL instead, for a role that has it; of an empty database, or what --url still lacks

  --database <file>   the SQLite database      --driver sqlite3|better-sqlite3   what reads it (default sqlite3)
  --url <url>   the PostgreSQL database      --schema <name>   its schema
                      (tasks: ./.taskflow/tasks.db where none is named)
  --yes               really do it: repair, adopt, retry-dead, retry and cancel otherwise only say what they would do
  --json              for programs

Exit codes: 0 all is well, 1 a problem was found, or remains, 2 wrong usage.
`;

const OPTIONS = {
  json: { type: 'boolean' },
  yes: { type: 'boolean' },
  rebuild: { type: 'boolean' },
  print: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  database: { type: 'string' },
  driver: { type: 'string' },
  url: { type: 'string' },
  schema: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  task: { type: 'string' },
  status: { type: 'string' },
  name: { type: 'string' },
  tag: { type: 'string' },
  user: { type: 'string' },
  limit: { type: 'string' },
  cursor: { type: 'string' },
} as const;

/** Options that not every command takes. */
const ONLY_FOR: Readonly<Record<string, readonly CommandName[]>> = {
  yes: ['repair', 'adopt', 'retry-dead', 'retry', 'cancel'],
  rebuild: ['repair'],
  print: ['migrate'],
  from: ['export'],
  to: ['export'],
  task: ['export', 'retry-dead'],
  status: ['list'],
  name: ['list'],
  tag: ['list'],
  user: ['list'],
  limit: ['list'],
  cursor: ['list'],
};
const DEFAULT_PATH = './.taskflow/events.log';
const STATUSES: readonly TaskStatus[] = ['created', 'running', 'completed', 'failed', 'cancelled'];
const [DEFAULT_LIMIT, MOST_LISTED] = [50, 1_000];

/** @returns null when help was asked for. @throws UsageError. */
export function readArguments(argv: readonly string[]): Arguments | null {
  const { values, positionals } = parse(argv);
  if (values.help === true) return null;
  const [topic, command, ...rest] = positionals;
  if (!isTopic(topic)) throw new UsageError(topic === undefined ? 'a command is missing' : `there is no command '${topic}'`);
  if (!isCommand(topic, command))
    throw new UsageError(command === undefined ? 'a command is missing' : `there is no command '${topic} ${command}'`);
  for (const [option, commands] of Object.entries(ONLY_FOR))
    if (values[option as keyof typeof values] !== undefined && !commands.includes(command))
      throw new UsageError(`--${option} is for ${commands.join(', ')}`);
  if (values.database !== undefined && values.url !== undefined) throw new UsageError('--database and --url exclude each other');
  const home = command === 'adopt' ? rest.shift() : '';
  if (home === undefined) throw new UsageError('adopt needs the id of the log whose tasks are to be taken over');
  const isAboutOne = topic === 'tasks' && command !== 'list';
  const task = isAboutOne ? rest.shift() : values.task;
  if (isAboutOne && task === undefined) throw new UsageError(`tasks ${command} needs the id of the task`);
  if (topic === 'tasks' && (command === 'list' || command === 'show') && rest[0] !== undefined)
    throw new UsageError(`'${rest[0]}' is one word too many: tasks ${command} reads the database, not the log`);
  if (topic === 'cluster' && rest[0] !== undefined) throw new UsageError(`'${rest[0]}' is one word too many`);
  if (rest.length > 1) throw new UsageError(`'${rest[1]}' is one word too many`);
  return {
    topic,
    command,
    path: rest[0] ?? DEFAULT_PATH,
    home,
    json: values.json === true,
    yes: values.yes === true,
    rebuild: values.rebuild === true,
    print: values.print === true,
    database: values.database,
    driver: driverOf(values.driver),
    url: values.url,
    schema: values.schema,
    from: sequence('from', values.from) ?? 1,
    to: sequence('to', values.to) ?? Number.MAX_SAFE_INTEGER,
    task,
    status: statusOf(values.status),
    name: values.name,
    tag: values.tag,
    user: values.user,
    limit: limitOf(values.limit),
    cursor: values.cursor,
  };
}

const isTopic = (name: string | undefined): name is Topic => name !== undefined && Object.hasOwn(COMMANDS, name);

const isCommand = (topic: Topic, name: string | undefined): name is CommandName =>
  (COMMANDS[topic] as readonly (string | undefined)[]).includes(name);

function statusOf(text: string | undefined): TaskStatus | undefined {
  const status = STATUSES.find((each) => each === text);
  if (text !== undefined && status === undefined) throw new UsageError(`--status must be one of ${STATUSES.join(', ')}`);
  return status;
}

function driverOf(text: string | undefined): Arguments['driver'] {
  if (text === undefined || text === 'sqlite3' || text === 'better-sqlite3') return text ?? 'sqlite3';
  throw new UsageError('--driver must be sqlite3 or better-sqlite3');
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_LISTED) throw new UsageError(`--limit must be 1 to ${MOST_LISTED}`);
  return limit;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function sequence(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`--${option} must be the sequence of an entry: 1, 2, 3 …`);
  return value;
}
