import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { loggerFor } from '../../../lib/telemetry/taskflow-logger.js';

describe('loggerFor', () => {
  it('adds the context to every line of the logger given', () => {
    const sink = { log: jest.fn(), error: jest.fn(), warn: jest.fn(), debug: jest.fn(), verbose: jest.fn(), fatal: jest.fn() };
    const logger = loggerFor({ logger: sink }, 'Flush');
    logger.warn('slow', { lagMs: 5 });
    logger.fatal?.('gone');
    expect(sink.warn).toHaveBeenCalledWith('slow', { lagMs: 5 }, 'Flush');
    expect(sink.fatal).toHaveBeenCalledWith('gone', 'Flush');
  });

  it('takes a logger without verbose, debug and fatal, as console is', () => {
    const sink = { log: jest.fn(), error: jest.fn(), warn: jest.fn() };
    const logger = loggerFor({ logger: sink }, 'Flush');
    logger.verbose?.('v');
    logger.debug?.('d');
    logger.fatal?.('f');
    expect(sink.log.mock.calls).toEqual([['v', 'Flush'], ['d', 'Flush']]); // prettier-ignore
    expect(sink.error).toHaveBeenCalledWith('f', 'Flush');
  });

  it('lets a Nest Logger keep its own context', () => {
    const own = new Logger('Tasks');
    const log = jest.spyOn(own, 'log').mockImplementation(() => undefined);
    loggerFor({ logger: own }, 'Flush').log('x');
    expect(log).toHaveBeenCalledWith('x');
  });

  it('is Nest’s Logger where none was given, or what was given cannot log', () => {
    expect(loggerFor(undefined, 'Flush')).toBeInstanceOf(Logger);
    expect(loggerFor({ logger: {} }, 'Flush')).toBeInstanceOf(Logger);
    expect(loggerFor({ logger: null }, 'Flush')).toBeInstanceOf(Logger);
  });

  it('survives a logger that throws', () => {
    const log = jest.fn(() => {
      throw new Error('disk full');
    });
    expect(() => loggerFor({ logger: { log } }, 'Flush').log('x')).not.toThrow();
    expect(log).toHaveBeenCalledTimes(1);
  });
});
