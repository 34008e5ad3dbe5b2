import { DiscoveryModule, NestFactory } from '@nestjs/core';
import type { TaskflowHooks } from './contracts/telemetry.interface.js';
import type { TaskflowOptionsInput } from './config/taskflow-options.interface.js';
import { TaskSystem } from './task-system.js';
import { taskflowProviders } from './taskflow.providers.js';
import { TASKFLOW_OPTIONS_INPUT } from './config/taskflow.tokens.js';

/** The providers alone: nothing starts before `initialize()` is called, so that `defineTask` comes first. */
class StandaloneTaskflow {}

/**
 * A task system without HTTP, not yet initialised: define tasks, then call `initialize()`. `hooks` beats `options.hooks`.
 * @throws ConfigValidationError listing every option at fault.
 */
export async function createTaskSystem(options: TaskflowOptionsInput = {}, hooks?: TaskflowHooks): Promise<TaskSystem> {
  const input = hooks === undefined ? options : { ...options, hooks };
  const module = {
    module: StandaloneTaskflow,
    imports: [DiscoveryModule],
    providers: [{ provide: TASKFLOW_OPTIONS_INPUT, useValue: input }, ...taskflowProviders],
  };
  // Options are refused by an exception: an exit from inside a library would take the host with it. No `logger` here either:
  // Nest would make it the logger of the whole process.
  const context = await NestFactory.createApplicationContext(module, { abortOnError: false });
  return context.get(TaskSystem);
}
