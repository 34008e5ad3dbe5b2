import { parseArgs } from 'node:util';

export const COMMANDS = ['inspect', 'verify', 'export', 'repair', 'adopt', 'retry-dead'] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface Arguments {
  readonly command: CommandName;
  /** The eventLogPath, or its folder. */
  readonly path: string;
  /** `adopt` alone: the log whose tasks are taken over. */
  readonly home: string;
  readonly json: boolean;
  /** Without it nothing is changed. */
  readonly yes: boolean;
  readonly rebuild: boolean;
  readonly database: string | undefined;
  readonly url: string | undefined;
  readonly schema: string | undefined;
  readonly from: number;
  readonly to: number;
  readonly task: string | undefined;
}

/** What was asked cannot be understood: exit code 2. */
export class UsageError extends Error {}

export const USAGE = `Usage: taskflow log <command> [<path>] [options]

<path> is the eventLogPath, or the folder that it is in. Default: ./.taskflow/events.log

  inspect     what the log is made of, who holds it, how far the database is
  verify      reads every byte and names what is damaged; exit code 1 if anything is
  export      entries as JSON lines, of frames that are proven   [--from <seq>] [--to <seq>] [--task <id>]
  repair      sets damaged files aside and keeps all that is proven; needs the lock of the log
              --rebuild: applies what the log retains to a fresh database
  adopt <log id> [<path>]
              moves the unfinished tasks of a lost log to this one; needs the lock of the log, and the database
  retry-dead  applies entries again that the database refused   [--task <id>]

  --database <file>   the SQLite database      --url <url>   the PostgreSQL database      --schema <name>   its schema
  --yes               really do it: repair, adopt and retry-dead otherwise only say what they would do
  --json              for programs

Exit codes: 0 all is well, 1 a problem was found, or remains, 2 wrong usage.
`;

const OPTIONS = {
  json: { type: 'boolean' },
  yes: { type: 'boolean' },
  rebuild: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  database: { type: 'string' },
  url: { type: 'string' },
  schema: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  task: { type: 'string' },
} as const;

/** Options that not every command takes. */
const ONLY_FOR: Readonly<Record<string, readonly CommandName[]>> = {
  yes: ['repair', 'adopt', 'retry-dead'],
  rebuild: ['repair'],
  from: ['export'],
  to: ['export'],
  task: ['export', 'retry-dead'],
};
const DEFAULT_PATH = './.taskflow/events.log';

/** @returns null when help was asked for. @throws UsageError. */
export function readArguments(argv: readonly string[]): Arguments | null {
  const { values, positionals } = parse(argv);
  if (values.help === true) return null;
  const [topic, command, ...rest] = positionals;
  if (topic !== 'log') throw new UsageError(topic === undefined ? 'a command is missing' : `there is no command '${topic}'`);
  if (!isCommand(command)) throw new UsageError(command === undefined ? 'a command is missing' : `there is no command 'log ${command}'`);
  for (const [option, commands] of Object.entries(ONLY_FOR))
    if (values[option as keyof typeof values] !== undefined && !commands.includes(command))
      throw new UsageError(`--${option} is for ${commands.join(', ')}`);
  if (values.database !== undefined && values.url !== undefined) throw new UsageError('--database and --url exclude each other');
  const home = command === 'adopt' ? rest.shift() : '';
  if (home === undefined) throw new UsageError('adopt needs the id of the log whose tasks are to be taken over');
  if (rest.length > 1) throw new UsageError(`'${rest[1]}' is one word too many`);
  return {
    command,
    path: rest[0] ?? DEFAULT_PATH,
    home,
    json: values.json === true,
    yes: values.yes === true,
    rebuild: values.rebuild === true,
    database: values.database,
    url: values.url,
    schema: values.schema,
    from: sequence('from', values.from) ?? 1,
    to: sequence('to', values.to) ?? Number.MAX_SAFE_INTEGER,
    task: values.task,
  };
}

const isCommand = (name: string | undefined): name is CommandName => (COMMANDS as readonly (string | undefined)[]).includes(name);

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
