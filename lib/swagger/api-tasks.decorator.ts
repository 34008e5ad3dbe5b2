import { applyDecorators } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiProduces,
  ApiQuery,
  ApiResponse,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import { PageDto, SubmitTaskDto, TaskDto, TaskEventDto } from './task.dto.js';

const POSITION = { type: 'integer', minimum: 0 } as const;

/** Documents a route of events: SSE, what its messages hold, how it resumes, and what it refuses with. */
export const ApiTaskEvents = (): MethodDecorator =>
  applyDecorators(
    ApiExtraModels(TaskEventDto),
    ApiProduces('text/event-stream'),
    ApiHeader({ name: 'Last-Event-ID', required: false, description: 'Seq of the last event that the client has.', schema: POSITION }),
    ApiQuery({
      name: 'lastEventId',
      required: false,
      description: 'The same, for a first request, which cannot set headers.',
      schema: POSITION,
    }),
    ApiOkResponse({
      description:
        'Events after that one, then live ones: `id` is `seq`, `event` the type (`error` is sent as `failed`), `data` one line of JSON.',
      content: { 'text/event-stream': { schema: { $ref: getSchemaPath(TaskEventDto) } } },
    }),
    ApiResponse({ status: 204, description: 'The task has ended, and nothing will come after that event.' }),
    ApiResponse({ status: 400, description: 'The position is no integer, or beyond the last event.' }),
    ApiResponse({ status: 404, description: 'No such task of this user.' }),
    ApiResponse({ status: 410, description: 'The events after that one are gone: go on from `firstAvailableSeq` - 1.' }),
    ApiResponse({ status: 429, description: 'Too many streams; `Retry-After` says when to come back.' }),
  );

const ID = ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } });
const MISSING = ApiResponse({ status: 404, description: 'No such task of this user.' });
const BUSY = ApiResponse({ status: 429, description: 'A limit is reached; `Retry-After` says when to come back.' });
const query = (name: string, schema: object = { type: 'string' }): MethodDecorator => ApiQuery({ name, required: false, schema });
const PAGE = [query('limit', { type: 'integer', minimum: 1, maximum: 500, default: 50 }), query('cursor')];

/** By the names of the methods that `TasksController` makes. */
const ROUTES: Readonly<Record<string, readonly MethodDecorator[]>> = {
  submit: [
    ApiOperation({ summary: 'Submit a task' }),
    ApiBody({ type: SubmitTaskDto }),
    ApiCreatedResponse({ type: TaskDto, description: 'The task is on disk.' }),
    ApiResponse({ status: 400, description: 'The name, the input or the key is refused.' }),
    ApiResponse({ status: 409, description: 'The key belongs to another task.' }),
    BUSY,
  ],
  list: [
    ApiOperation({ summary: 'Tasks, newest first' }),
    query('status', { type: 'string', enum: ['created', 'running', 'completed', 'failed', 'cancelled'] }),
    query('name'),
    query('tag'),
    ...PAGE,
    ApiOkResponse({ type: PageDto }),
  ],
  deadLetters: [
    ApiOperation({ summary: 'Failed tasks that wait for somebody to look at them' }),
    query('name'),
    query('tag'),
    ...PAGE,
    ApiOkResponse({ type: PageDto }),
  ],
  get: [ApiOperation({ summary: 'A task' }), ID, ApiOkResponse({ type: TaskDto }), MISSING],
  cancel: [
    ApiOperation({ summary: 'Cancel a task' }),
    ID,
    ApiOkResponse({ type: TaskDto, description: 'The request is on disk; a running task ends soon.' }),
    MISSING,
    ApiResponse({ status: 409, description: 'It completed or failed before.' }),
  ],
  retry: [
    ApiOperation({ summary: 'A new life for a task that failed or was cancelled' }),
    ID,
    ApiCreatedResponse({ type: TaskDto }),
    MISSING,
    ApiResponse({ status: 409, description: 'It has not ended, completed, or gave its key to a newer task.' }),
  ],
  events: [ApiOperation({ summary: 'Events of a task, live and resumable' }), ID, ApiTaskEvents()],
};

/** Documents what `TasksController` makes: `TasksController({ …, decorators: [ApiTasks()] })`. @param tag default `tasks`. */
export function ApiTasks(tag = 'tasks'): ClassDecorator {
  return (target) => {
    ApiTags(tag)(target);
    for (const [name, decorators] of Object.entries(ROUTES)) {
      const descriptor = Object.getOwnPropertyDescriptor(target.prototype, name);
      if (descriptor !== undefined) for (const decorate of decorators) decorate(target.prototype as object, name, descriptor);
    }
  };
}
