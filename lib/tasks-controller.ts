import {
  applyDecorators,
  Body,
  type CanActivate,
  Controller,
  createParamDecorator,
  Delete,
  type ExecutionContext,
  Get,
  Inject,
  type MessageEvent,
  Param,
  Post,
  Query,
  type Type,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { TaskHandler } from './contracts/task-handler.interface.js';
import type { ListOptions, Page } from './contracts/task-system.interface.js';
import type { Task } from './contracts/task.interface.js';
import { taskId } from './contracts/ids.js';
import { ConfigValidationError } from './errors/config.errors.js';
import { type FieldIssue, HandlerNotFoundError, NotFoundError, ValidationError } from './errors/request.errors.js';
import { taskHandlerMetadata } from './handlers/task-handler.decorator.js';
import { TaskflowExceptionFilter } from './http/taskflow-exception.filter.js';
import { TaskEvents, TaskSse } from './http/task-sse.decorator.js';
import { TaskSystem } from './task-system.js';

export type TasksRoute = 'submit' | 'list' | 'get' | 'cancel' | 'retry' | 'events' | 'deadLetters';
const ROUTES: readonly TasksRoute[] = ['submit', 'list', 'get', 'cancel', 'retry', 'events', 'deadLetters'];

export interface TasksControllerOptions {
  /** Default `tasks`. */
  path?: string | undefined;
  /** At least one, so that nobody opens these routes by leaving it out; `'global'` where a guard of the whole application stands before them. */
  guards: readonly (Type<CanActivate> | CanActivate)[] | 'global';
  /** Who asks, as the guards found out; null: nobody in particular, who sees tasks without an owner. Undefined is answered 500. */
  userId: (request: any, context: ExecutionContext) => string | null | undefined | Promise<string | null | undefined>;
  /** Handlers that clients may submit to. Default none: then there is no such route. */
  submit?: readonly (Type<TaskHandler> | string)[] | undefined;
  /** Default all. */
  routes?: readonly TasksRoute[] | undefined;
  /** Of the class: `ApiTasks()` of `nestjs-taskflow/swagger`, `Version` and the like. Applied last. */
  decorators?: readonly ClassDecorator[] | undefined;
}

/** What `POST` takes. */
export interface SubmitRequest {
  name: string;
  input: unknown;
  idempotencyKey?: string | undefined;
}
const SUBMIT_MEMBERS = ['name', 'input', 'idempotencyKey'] satisfies (keyof SubmitRequest)[];
const LIST_PARAMETERS = ['status', 'name', 'tag', 'limit', 'cursor'] satisfies (keyof ListOptions)[];

/**
 * A controller for the tasks of whoever asks: `POST` submit, `GET` list, `GET dead-letters`, `GET :id`, `DELETE :id` cancel, `POST :id/retry`,
 * `GET :id/events` (SSE, resumed by `Last-Event-ID`). Another user's task is a 404. Put what it returns among the `controllers` of a module.
 * @throws ConfigValidationError listing every option at fault.
 */
export function TasksController(options: TasksControllerOptions): Type<unknown> {
  const issues = issuesOf(options);
  if (issues.length > 0) throw new ConfigValidationError(issues);
  const { path = 'tasks', guards, decorators = [], routes = ROUTES } = options;
  const names = new Set((options.submit ?? []).flatMap(namesOf));
  const ownerOf = async (context: ExecutionContext): Promise<string> =>
    // Undefined is for the task system to refuse, as everywhere.
    (await options.userId(context.switchToHttp().getRequest(), context)) as string;
  const Owner = createParamDecorator((_: unknown, context: ExecutionContext) => ownerOf(context));

  class Tasks {
    constructor(@Inject(TaskSystem) private readonly tasks: TaskSystem) {}

    submit(@Body() body: unknown, @Owner() userId: string): Promise<Task> {
      const { name, input, idempotencyKey } = submitRequestOf(body);
      if (!names.has(name)) throw new HandlerNotFoundError(name, []);
      return this.tasks.submit(name, { input, userId, idempotencyKey });
    }

    list(@Query() query: unknown, @Owner() userId: string): Promise<Page<Task>> {
      return this.tasks.list({ ...listOptionsOf(query, LIST_PARAMETERS), userId });
    }

    deadLetters(@Query() query: unknown, @Owner() userId: string): Promise<Page<Task>> {
      const { status: _, ...wanted } = listOptionsOf(query, ['name', 'tag', 'limit', 'cursor']);
      return this.tasks.deadLetters.list({ ...wanted, userId });
    }

    async get(@Param('id') id: string, @Owner() userId: string): Promise<Task> {
      const task = await this.tasks.get({ taskId: taskId(id) }, { userId });
      if (task === null) throw new NotFoundError();
      return task;
    }

    cancel(@Param('id') id: string, @Owner() userId: string): Promise<Task> {
      return this.tasks.cancel({ taskId: taskId(id) }, { userId });
    }

    retry(@Param('id') id: string, @Owner() userId: string): Promise<Task> {
      return this.tasks.retry({ taskId: taskId(id) }, { userId });
    }

    events(@TaskEvents() events: Observable<MessageEvent>): Observable<MessageEvent> {
      return events;
    }
  }

  const selected = async (context: ExecutionContext) => ({
    ref: { taskId: taskId(context.switchToHttp().getRequest<{ params: { id: string } }>().params.id) },
    userId: await ownerOf(context),
  });
  const methods: Readonly<Record<TasksRoute, () => MethodDecorator>> = {
    submit: () => Post(),
    list: () => Get(),
    deadLetters: () => Get('dead-letters'), // before :id, which would take it
    get: () => Get(':id'),
    cancel: () => Delete(':id'),
    retry: () => Post(':id/retry'),
    events: () => TaskSse(':id/events', selected),
  };
  for (const [route, decorator] of Object.entries(methods)) {
    if (!routes.includes(route as TasksRoute) || (route === 'submit' && names.size === 0)) Reflect.deleteProperty(Tasks.prototype, route);
    else decorator()(Tasks.prototype, route, Object.getOwnPropertyDescriptor(Tasks.prototype, route)!);
  }
  applyDecorators(
    ...decorators,
    Controller(path),
    UseFilters(TaskflowExceptionFilter),
    ...(guards === 'global' ? [] : [UseGuards(...guards)]),
  )(Tasks);
  return Tasks;
}

function issuesOf(options: TasksControllerOptions): FieldIssue[] {
  const issues: FieldIssue[] = [];
  const refuse = (path: string, message: string): number => issues.push({ path: `TasksController.${path}`, message });
  const { guards, userId, submit = [], routes = [] } = options ?? {};
  if (guards !== 'global' && !(Array.isArray(guards) && guards.length > 0))
    refuse(
      'guards',
      "must be a list with at least one guard, or 'global' where a guard of the whole application stands before these routes",
    );
  if (typeof userId !== 'function') refuse('userId', 'must be a function, as in (request) => request.user.id');
  for (const handler of submit)
    if (namesOf(handler).length === 0) refuse('submit', `${nameOfClass(handler)} is neither a task name nor a class with @TaskHandler`);
  for (const route of routes) if (!ROUTES.includes(route)) refuse('routes', `'${String(route)}' is none of ${ROUTES.join(', ')}`);
  return issues;
}

const namesOf = (handler: Type<TaskHandler> | string): string[] =>
  typeof handler === 'string' ? [handler].filter((name) => name !== '') : taskHandlerMetadata(handler).map(({ name }) => name);
const nameOfClass = (handler: unknown): string => (typeof handler === 'function' ? handler.name : `'${String(handler)}'`);

/** @throws ValidationError for a member that is missing, not of its kind, or unknown. */
function submitRequestOf(body: unknown): SubmitRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new ValidationError('body', 'must be an object { name, input, idempotencyKey? }');
  refuseOthers(body, SUBMIT_MEMBERS);
  const { name, input, idempotencyKey } = body as Partial<SubmitRequest>;
  if (typeof name !== 'string') throw new ValidationError('name', 'must be the name of a task');
  if (input === undefined) throw new ValidationError('input', 'is missing');
  return { name, input, idempotencyKey };
}

/** @throws ValidationError for a parameter that is unknown, given twice, or not of its kind. */
function listOptionsOf(query: unknown, names: readonly string[]): Pick<ListOptions, (typeof LIST_PARAMETERS)[number]> {
  const given = (query ?? {}) as Readonly<Record<string, unknown>>;
  refuseOthers(given, names);
  for (const [name, value] of Object.entries(given)) if (typeof value !== 'string') throw new ValidationError(name, 'must be given once');
  const { limit, ...others } = given as Readonly<Record<string, string>>;
  if (limit === undefined) return others;
  if (!/^\d{1,4}$/.test(limit)) throw new ValidationError('limit', 'must be an integer from 1 to 500');
  return { ...others, limit: Number(limit) };
}

function refuseOthers(given: object, names: readonly string[]): void {
  for (const name of Object.keys(given)) if (!names.includes(name)) throw new ValidationError(name, `is none of ${names.join(', ')}`);
}
