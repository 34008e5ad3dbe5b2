import { Body, Controller, type ExecutionContext, Get, Headers, HttpCode, type MessageEvent, Param, Post, Query } from '@nestjs/common';
import { NotFoundError, type Page, type Task, TaskEvents, TaskSse, type TaskSseSelection, TaskSystem } from 'nestjs-taskflow';
import type { Observable } from 'rxjs';
import { ChargeCard, ChargeCardDto } from '../tasks/charge-card.task.js';
import { ImportRows, ImportRowsDto } from '../tasks/import-rows.task.js';
import { SendReport, SendReportDto } from '../tasks/send-report.task.js';
import { CurrentUser } from './current-user.decorator.js';
import type { RequestOfUser } from './user.guard.js';

/** A client that got no answer sends the request again with the same key, and gets the same task. */
const IdempotencyKey = (): ParameterDecorator => Headers('idempotency-key');

/** Which task a request to watch is about, and for whom. */
function eventsOf(context: ExecutionContext): TaskSseSelection {
  const { params, userId } = context.switchToHttp().getRequest<RequestOfUser>();
  return { ref: { taskId: String(params['id']) }, userId: userId as string };
}

/** The input is checked by `submit` against the handler's DTO, so these routes need no pipe. */
@Controller('api/tasks')
export class TasksController {
  constructor(private readonly tasks: TaskSystem) {}

  @Post('send-report')
  sendReport(@Body() input: SendReportDto, @CurrentUser() userId: string, @IdempotencyKey() idempotencyKey?: string): Promise<Task> {
    return this.tasks.submit(SendReport, { input, userId, idempotencyKey });
  }

  @Post('import-rows')
  importRows(@Body() input: ImportRowsDto, @CurrentUser() userId: string, @IdempotencyKey() idempotencyKey?: string): Promise<Task> {
    return this.tasks.submit(ImportRows, { input, userId, idempotencyKey });
  }

  @Post('charge-card')
  chargeCard(@Body() input: ChargeCardDto, @CurrentUser() userId: string, @IdempotencyKey() idempotencyKey?: string): Promise<Task> {
    return this.tasks.submit(ChargeCard, { input, userId, idempotencyKey });
  }

  @Get()
  list(@CurrentUser() userId: string, @Query('cursor') cursor?: string): Promise<Page<Task>> {
    return this.tasks.list({ userId, cursor, limit: 20 });
  }

  @Get(':id')
  async find(@Param('id') taskId: string, @CurrentUser() userId: string): Promise<Task> {
    const task = await this.tasks.getStatus({ taskId }, { userId });
    if (task === null) throw new NotFoundError();
    return task;
  }

  @Post(':id/cancel')
  @HttpCode(200)
  cancel(@Param('id') taskId: string, @CurrentUser() userId: string): Promise<Task> {
    return this.tasks.cancel({ taskId }, { userId, reason: 'cancelled on the page' });
  }

  /** Events after `Last-Event-ID` (or `?lastEventId=`), then live ones. */
  @TaskSse(':id/events', eventsOf)
  events(@TaskEvents() events: Observable<MessageEvent>): Observable<MessageEvent> {
    return events;
  }
}
