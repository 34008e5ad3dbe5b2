import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { TaskStatus, TaskType } from '../contracts/task.interface.js';

const STATUSES: TaskStatus[] = ['created', 'running', 'completed', 'failed', 'cancelled'];
const TIME = { type: 'string', format: 'date-time' } as const;
const TIME_OR_NULL = { ...TIME, nullable: true } as const;
/** Any JSON. */
const JSON_VALUE = { type: 'object', additionalProperties: true } as const;

/** The `error` of a task, as clients are shown it. */
export class TaskErrorDto {
  @ApiProperty({ description: 'Class of the error.' })
  name!: string;

  @ApiProperty({ description: 'Its text where it was written for clients, else a general one.' })
  message!: string;

  @ApiPropertyOptional({ description: 'Stable, for programs.' })
  code?: string;

  @ApiProperty({ description: 'Whether another attempt may fare better.' })
  retryable!: boolean;
}

/** A task, as controllers answer with it. */
export class TaskDto {
  @ApiProperty({ format: 'uuid' })
  id!: string;

  @ApiProperty({ example: 'send-email' })
  name!: string;

  @ApiProperty({ description: 'The key that was chosen, else the id.' })
  idempotencyKey!: string;

  @ApiProperty({ type: String, nullable: true })
  userId!: string | null;

  @ApiProperty({ enum: ['user', 'background'] })
  type!: TaskType;

  @ApiProperty({ enum: STATUSES })
  status!: TaskStatus;

  @ApiProperty({ ...JSON_VALUE, description: 'As it was submitted: any JSON.' })
  input!: unknown;

  @ApiPropertyOptional({ ...JSON_VALUE, description: 'Of a completed task: any JSON.' })
  result?: unknown;

  @ApiPropertyOptional({ type: TaskErrorDto, description: 'Of the last failure in this life.' })
  error?: TaskErrorDto;

  @ApiPropertyOptional({ ...JSON_VALUE, description: 'Payload of the newest progress event of this life, up to 4 KiB.' })
  progress?: unknown;

  @ApiProperty({ type: 'integer', minimum: 1 })
  attempt!: number;

  @ApiProperty({ type: 'integer', minimum: 1 })
  maxAttempts!: number;

  @ApiProperty({ type: 'integer', description: 'Number of starts: unique per run.' })
  fence!: number;

  @ApiProperty({ type: 'integer', description: 'Crashes in a row.' })
  recoveries!: number;

  @ApiProperty({ type: 'integer', description: 'Per attempt, in ms.' })
  timeoutMs!: number;

  @ApiProperty({ type: 'integer', description: 'Lower runs first.' })
  priority!: number;

  @ApiProperty({ type: [String] })
  tags!: string[];

  @ApiProperty({ type: 'integer', description: 'Position of its newest event: what a stream resumes from.' })
  lastSeq!: number;

  @ApiProperty({ ...TIME_OR_NULL, description: 'Since when it is a dead letter.' })
  deadLetteredAt!: string | null;

  @ApiProperty(TIME_OR_NULL)
  cancelRequestedAt!: string | null;

  @ApiProperty(TIME)
  createdAt!: string;

  @ApiProperty({ ...TIME, description: 'Not before.' })
  runAt!: string;

  @ApiPropertyOptional({ ...TIME_OR_NULL, description: 'It fails unless it starts before.' })
  expiresAt?: string | null;

  @ApiProperty(TIME_OR_NULL)
  startedAt!: string | null;

  @ApiProperty(TIME_OR_NULL)
  completedAt!: string | null;

  @ApiProperty(TIME_OR_NULL)
  lastHeartbeatAt!: string | null;
}

/** A page of tasks. */
export class PageDto {
  @ApiProperty({ type: [TaskDto] })
  items!: TaskDto[];

  @ApiProperty({ type: String, nullable: true, description: '`cursor` of the next page; null: this is the last one.' })
  nextCursor!: string | null;
}

/** What `data` of an SSE message holds: one line of JSON. */
export class TaskEventDto {
  @ApiProperty({ type: 'integer', minimum: 1, description: 'The `id` of the message, and what `Last-Event-ID` takes.' })
  seq!: number;

  @ApiProperty({ enum: ['created', 'start', 'progress', 'custom', 'retry', 'recovered', 'complete', 'error', 'cancelled'] })
  type!: string;

  @ApiPropertyOptional({ description: 'Of `custom` events.' })
  eventName?: string;

  @ApiProperty({ format: 'uuid' })
  taskId!: string;

  @ApiProperty({ type: 'integer' })
  attempt!: number;

  @ApiProperty({ type: 'integer', description: 'Epoch ms.' })
  timestamp!: number;

  @ApiPropertyOptional({ ...JSON_VALUE, description: 'Any JSON.' })
  payload?: unknown;
}

/** What `POST` of `TasksController` takes. */
export class SubmitTaskDto {
  @ApiProperty({ example: 'send-email' })
  name!: string;

  @ApiProperty({ ...JSON_VALUE, description: 'Any JSON that its handler takes.' })
  input!: unknown;

  @ApiPropertyOptional({ maxLength: 256, description: 'The same key with the same name and input gives the same task.' })
  idempotencyKey?: string;
}
