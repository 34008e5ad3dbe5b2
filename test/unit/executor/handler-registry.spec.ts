import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { TaskHandlerOptions } from '../../../lib/contracts/task-handler.interface.js';
import { ConfigValidationError } from '../../../lib/errors/config.errors.js';
import { ConflictError, HandlerNotFoundError } from '../../../lib/errors/request.errors.js';
import { HandlerRegistry } from '../../../lib/handlers/handler-registry.js';
import { SETTINGS } from '../../support/doubles/executor-harness.js';

class Mailer {}
class InputDto {}
const instance = (): { handle(): Promise<void> } => ({ handle: async () => undefined });

function faults(name: string, options: object): string[] {
  try {
    new HandlerRegistry(SETTINGS).define({ name, options, instance });
    return [];
  } catch (error) {
    if (!ConfigValidationError.is(error)) throw error;
    return error.issues.map((issue) => issue.path);
  }
}

describe('HandlerRegistry', () => {
  it('fills in what a handler leaves out, also where it says undefined', () => {
    const registry = new HandlerRegistry(SETTINGS);
    const options: TaskHandlerOptions = { timeoutMs: undefined, retry: { maxAttempts: 7, jitter: undefined } };
    const handler = registry.define({ name: 'email', options, handlerClass: Mailer, instance });
    expect(handler).toMatchObject({ type: 'user', timeoutMs: 300_000, idempotency: 'none', maxConcurrentExecutions: undefined });
    expect(handler.retry).toEqual({ maxAttempts: 7, initialDelayMs: 1000, maxDelayMs: 30_000, backoffMultiplier: 2, jitter: true });
    expect([registry.get('email'), registry.getByClass(Mailer), registry.require('email')]).toEqual([handler, handler, handler]);
    expect(registry.names()).toEqual(['email']);
  });

  it.each([
    ['', {}, ['name']],
    ['x'.repeat(201), {}, ['name']],
    ['a\u0000b', {}, ['name']],
    ['t', { timeoutMs: 0 }, ['t.timeoutMs']],
    ['t', { timeoutMs: 1.5, maxConcurrentExecutions: -1 }, ['t.timeoutMs', 't.maxConcurrentExecutions']],
    ['t', { retry: { maxAttempts: 0, backoffMultiplier: 0.5 } }, ['t.retry.maxAttempts', 't.retry.backoffMultiplier']],
    ['t', { retry: 3 }, ['t.retry']],
    ['t', { input: {} }, ['t.input']],
    ['t', { schema: {} }, ['t.schema']],
    ['t', { input: InputDto, schema: z.object({}) }, ['t.schema']],
    ['t', { type: 'batch' }, ['t.type']],
    ['t', { idempotency: 'key' }, ['t.idempotency']],
    ['t', { timeout: 5 }, ['t.timeout']],
  ])('refuses %j with %j, naming the field', (name, options, paths) => {
    expect(faults(name, options).sort()).toEqual([...paths].sort());
  });

  it('names the option that a mistyped one stands for', () => {
    expect(() => new HandlerRegistry(SETTINGS).define({ name: 't', options: { timeoutMS: 5 } as never, instance })).toThrow(/timeoutMs/);
  });

  it('refuses a second definition of a name, naming both', () => {
    const registry = new HandlerRegistry(SETTINGS);
    registry.define({ name: 'email', options: {}, handlerClass: Mailer, instance });
    const again = (): unknown => registry.define({ name: 'email', options: {}, instance });
    expect(again).toThrow(ConflictError);
    expect(again).toThrow(/class Mailer and by defineTask/);
  });

  it('names the nearest handler when one is not defined', () => {
    const registry = new HandlerRegistry(SETTINGS);
    for (const name of ['send-email', 'import']) registry.define({ name, options: {}, instance });
    expect(() => registry.require('send-mail')).toThrow(HandlerNotFoundError);
    expect(() => registry.require('send-mail')).toThrow(/Did you mean "send-email"/);
  });

  it('tells listeners of what is defined from then on', () => {
    const registry = new HandlerRegistry(SETTINGS);
    registry.define({ name: 'before', options: {}, instance });
    const heard: string[] = [];
    registry.onDefined((handler) => heard.push(handler.name));
    registry.define({ name: 'after', options: {}, instance });
    expect(heard).toEqual(['after']);
  });
});
