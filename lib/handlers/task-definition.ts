import type { HandlerInstance } from '../contracts/handler-registry.interface.js';
import type { TaskDefinition, TaskHandlerOptions } from '../contracts/task-handler.interface.js';
import { ConfigValidationError } from '../errors/config.errors.js';
import type { HandlerDefinition } from './handler-registry.js';

/** `defineTask` in the registry's terms. @throws ConfigValidationError when handler or recovery is no function. */
export function definitionOf(name: string, definition: TaskDefinition): HandlerDefinition {
  const options: Partial<TaskDefinition> = { ...definition };
  requireFunction(name, 'handler', options);
  if (options.recovery !== undefined) requireFunction(name, 'recovery', options);
  delete options.handler;
  delete options.recovery;
  const instance: HandlerInstance = {
    handle: (input, ctx) => definition.handler(input, ctx),
    recover: definition.recovery?.bind(definition),
  };
  return { name, options: options as TaskHandlerOptions, instance: () => instance };
}

function requireFunction(name: string, member: 'handler' | 'recovery', given: Partial<TaskDefinition>): void {
  if (typeof given[member] === 'function') return;
  throw new ConfigValidationError([{ path: `defineTask("${name}").${member}`, message: 'must be a function' }]);
}
