import { Logger, type LoggerService } from '@nestjs/common';
import type { TaskflowHooks } from '../contracts/telemetry.interface.js';

type Level = 'log' | 'error' | 'warn' | 'debug' | 'verbose' | 'fatal';
type Sink = Partial<Record<Level, (message: unknown, ...optionalParams: unknown[]) => void>>;

/** Where a line goes when the logger has no such level: `console` has neither `verbose` nor `fatal`. */
const INSTEAD: Readonly<Record<Level, readonly Level[]>> = {
  log: ['log'],
  error: ['error', 'log'],
  warn: ['warn', 'log'],
  debug: ['debug', 'log'],
  verbose: ['verbose', 'debug', 'log'],
  fatal: ['fatal', 'error', 'log'],
};

/** The application's logger under one context, with every level there is. A logger that throws costs its line, nothing else. */
export class TaskflowLogger implements LoggerService {
  private readonly trailing: readonly string[];
  private readonly prefix: string;

  /** @param isNeeded the context says what the lines do not, so that it is written before them where it cannot stand behind. */
  constructor(
    private readonly sink: Sink,
    context: string,
    isNeeded = false,
  ) {
    // A Nest Logger with a context adds that itself; a second one would be printed as a message.
    const namesItself = sink instanceof Logger && (sink as unknown as { context?: string }).context !== undefined;
    this.trailing = namesItself ? [] : [context];
    this.prefix = namesItself && isNeeded ? `${context}: ` : '';
  }

  /** The same sink for one task: every line says whose it is. */
  for(context: string): LoggerService {
    return new TaskflowLogger(this.sink, context, true);
  }

  log(message: unknown, ...optionalParams: unknown[]): void {
    this.write('log', message, optionalParams);
  }
  error(message: unknown, ...optionalParams: unknown[]): void {
    this.write('error', message, optionalParams);
  }
  warn(message: unknown, ...optionalParams: unknown[]): void {
    this.write('warn', message, optionalParams);
  }
  debug(message: unknown, ...optionalParams: unknown[]): void {
    this.write('debug', message, optionalParams);
  }
  verbose(message: unknown, ...optionalParams: unknown[]): void {
    this.write('verbose', message, optionalParams);
  }
  fatal(message: unknown, ...optionalParams: unknown[]): void {
    this.write('fatal', message, optionalParams);
  }

  private write(level: Level, message: unknown, optionalParams: unknown[]): void {
    try {
      for (const name of INSTEAD[level]) {
        if (typeof this.sink[name] !== 'function') continue;
        this.sink[name](
          this.prefix !== '' && typeof message === 'string' ? this.prefix + message : message,
          ...optionalParams,
          ...this.trailing,
        );
        return;
      }
    } catch {
      // There is nowhere left to say so, and no task may fail for want of a log line.
    }
  }
}

/** The logger of the hooks, else Nest's own, for one part of the system. */
export function loggerFor(hooks: TaskflowHooks | undefined, context: string): LoggerService {
  const given = hooks?.logger;
  const fits = given !== null && (typeof given === 'object' || typeof given === 'function') && typeof (given as Sink).log === 'function';
  return fits ? new TaskflowLogger(given as Sink, context) : new Logger(context);
}

/** A logger whose lines carry `context`, such as a task's name and id. */
export function boundLogger(logger: LoggerService, context: string): LoggerService {
  if (logger instanceof TaskflowLogger) return logger.for(context);
  return logger instanceof Logger ? new Logger(context) : new TaskflowLogger(logger as Sink, context, true);
}
