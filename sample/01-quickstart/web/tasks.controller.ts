import { Body, Controller, Get, Headers, HttpCode, type MessageEvent, Param, Post, Query, Sse } from '@nestjs/common';
import { LastEventId, NotFoundError, type Page, type Task, TaskSystem } from 'nestjs-taskflow';
import type { Observable } from 'rxjs';
import { ChargeCard, ChargeCardDto } from '../tasks/charge-card.task.js';
import { ImportRows, ImportRowsDto } from '../tasks/import-rows.task.js';
import { SendReport, SendReportDto } from '../tasks/send-report.task.js';
import { CurrentUser } from './current-user.decorator.js';

/** A client that got no answer sends the request again with the same key, and gets the same task. */
const IdempotencyKey = (): ParameterDecorator => Headers('idempotency-key');

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
  @Sse(':id/events')
  events(@Param('id') taskId: string, @CurrentUser() userId: string, @LastEventId() lastSeq?: number): Promise<Observable<MessageEvent>> {
    return this.tasks.sse({ taskId }, { userId, lastSeq });
  }
}
