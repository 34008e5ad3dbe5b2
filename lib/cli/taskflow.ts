#!/usr/bin/env node
import { NodeFileSystem } from '../engines/local/wal/node-file-system.js';
import { SystemIdSource } from '../primitives/id-source.js';
import { SystemClock } from '../primitives/system-clock.js';
import { type CommandName, readArguments, USAGE, UsageError } from './arguments.js';
import type { Command } from './command.interface.js';
import { printable, printableLines } from '../domain/printable.js';

/** Each loaded when it is called for: to load all that any of them needs takes longer than most of them work. */
const COMMANDS: Readonly<Record<CommandName, () => Promise<Command>>> = {
  inspect: async () => (await import('../engines/local/cli/inspect.command.js')).inspect,
  verify: async () => (await import('../engines/local/cli/verify.command.js')).verify,
  export: async () => (await import('../engines/local/cli/export.command.js')).exportEntries,
  repair: async () => (await import('../engines/local/cli/repair.command.js')).repair,
  adopt: async () => (await import('../engines/local/cli/adopt.command.js')).adopt,
  list: async () => (await import('../engines/local/cli/list.command.js')).list,
  show: async () => (await import('../engines/local/cli/show.command.js')).show,
  retry: async () => (await import('./change.command.js')).retry,
  cancel: async () => (await import('./change.command.js')).cancel,
  migrate: async () => (await import('../engines/cluster/cli/migrate.command.js')).migrate,
  'retry-dead': async () => (await import('../engines/local/cli/retry-dead.command.js')).retryDead,
};

function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => process.stdout.write(text, (error) => (error ? reject(error) : resolve())));
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v')) {
    await write(`${(await import('./version.cjs')).VERSION}\n`);
    return 0;
  }
  const args = readArguments(argv);
  if (args === null) {
    await write(USAGE);
    return 0;
  }
  const context = { args, fs: new NodeFileSystem(), clock: new SystemClock(), ids: new SystemIdSource(), write };
  const command = await COMMANDS[args.command]();
  const { exitCode, report, lines } = await command(context);
  if (args.command !== 'export') await write((args.json ? [JSON.stringify(report)] : lines).map((line) => `${printable(line)}\n`).join(''));
  return exitCode;
}

async function failed(error: unknown): Promise<number> {
  if (error instanceof UsageError) {
    process.stderr.write(`taskflow: ${printableLines(error.message)}\n\n${USAGE}`);
    return 2;
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EPIPE') return 0; // whoever read has enough
  const { TaskSystemError } = await import('../errors/task-system.error.js');
  process.stderr.write(
    `taskflow: ${printableLines(TaskSystemError.is(error) || code !== undefined ? message : ((error as Error).stack ?? String(error)))}\n`,
  );
  return 1;
}

process.stdout.on('error', () => undefined); // told to the one who writes
void main(process.argv.slice(2))
  .catch(failed)
  .then((exitCode) => (process.exitCode = exitCode));
