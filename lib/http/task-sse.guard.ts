import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { TaskSseGate, type TaskSseSelect } from './task-sse.gate.js';

/** Shared by two installed copies of the package. */
export const TASK_SSE_SELECT = Symbol.for('nestjs-taskflow/task-sse-select');

/**
 * Refuses nobody by itself: guards are where Nest gives way for an asynchronous step before interceptors and headers. It is the last
 * guard of its route, so that whoever another one turns away has asked for no stream.
 */
@Injectable()
export class TaskSseGuard implements CanActivate {
  constructor(@Inject(TaskSseGate) private readonly gate: TaskSseGate) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    await this.gate.open(context, Reflect.getMetadata(TASK_SSE_SELECT, context.getHandler()) as TaskSseSelect);
    return true;
  }
}
