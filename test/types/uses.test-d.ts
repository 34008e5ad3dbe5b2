import {
  Body,
  Controller,
  type INestApplicationContext,
  Injectable,
  type LoggerService,
  type MessageEvent,
  Module,
  Param,
  Post,
  Sse,
} from '@nestjs/common';
import {
  BackpressureError, ConfigValidationError, createHooks, createTaskSystem, DeadLetterService, EventLogFullError, EventLogService, ExecutorService, FlushService,
  GuardService, InjectTaskflowOptions, LastEventId, NonRetryableError, RecoveryService, StreamService, type Task, type TaskContext, TaskflowExceptionFilter,
  TaskflowModule, type TaskflowOptions, type TaskflowOptionsFactory, type TaskflowOptionsInput, type TaskflowOptionsShape, TaskHandler, type TaskRepository,
  TaskSystem, TaskSystemError, ValidationError,
} from 'nestjs-taskflow'; // prettier-ignore
import type { Observable } from 'rxjs';

class SendEmailDto {
  readonly to!: string;
}
class Mailer {
  async send(_input: SendEmailDto, _options: { signal: AbortSignal }): Promise<void> {}
}

declare module 'nestjs-taskflow' {
  interface TaskMap {
    'send-email': { input: SendEmailDto; result: { sent: boolean } };
  }
}

@TaskHandler('send-email', { input: SendEmailDto, timeoutMs: 60_000, retry: { maxAttempts: 3 } })
export class SendEmail implements TaskHandler<SendEmailDto, { sent: boolean }> {
  constructor(private readonly mailer: Mailer) {}
  async handle(input: SendEmailDto, ctx: TaskContext) {
    await ctx.progress({ status: 'sending' });
    await this.mailer.send(input, { signal: ctx.signal });
    if (input.to === '') throw new NonRetryableError('nobody');
    return { sent: true };
  }
}

@TaskHandler('count')
@Injectable()
export class Count implements TaskHandler<number, number> {
  async *handle(input: number, ctx: TaskContext) {
    for await (const event of ctx.history()) ctx.logger.log(event.seq ?? 0);
    yield { type: 'progress', payload: input };
    yield { type: 'custom', eventName: 'half', payload: 1 };
    return input;
  }
  async recover(task: Task<number, number>, ctx: TaskContext) {
    return ctx.fence > 1 ? { recovered: true, result: task.input } : { recovered: false };
  }
}

@Controller('emails')
export class EmailController {
  constructor(private readonly tasks: TaskSystem) {}
  @Post()
  submit(@Body() input: SendEmailDto): Promise<Task<SendEmailDto, { sent: boolean }>> {
    return this.tasks.submit(SendEmail, { input, userId: 'u' });
  }
  @Sse(':key/events')
  events(@Param('key') key: string, @LastEventId() lastSeq?: number): Promise<Observable<MessageEvent>> {
    return this.tasks.sse(key, { userId: 'u', lastSeq });
  }
}

export class Services {
  constructor(
    readonly guard: GuardService,
    readonly stream: StreamService,
    readonly log: EventLogService,
    readonly flush: FlushService,
    readonly executor: ExecutorService,
    readonly recovery: RecoveryService,
    readonly dead: DeadLetterService,
    @InjectTaskflowOptions() readonly options: Readonly<object>,
  ) {}
}

export class Factory implements TaskflowOptionsFactory {
  createTaskflowOptions(): TaskflowOptionsInput {
    return {
      repository: { type: 'postgres', url: 'postgres://x' },
      hooks: createHooks({ tracer: {}, meter: {}, logger: {} as LoggerService }),
    };
  }
}
@Module({
  imports: [
    TaskflowModule.forRoot(),
    TaskflowModule.forRoot({ isGlobal: false, repository: { type: 'sqlite', database: './x.db' } }),
    TaskflowModule.forRootAsync({ imports: [], inject: [], useFactory: async () => ({}) }),
    TaskflowModule.forRootAsync({ isGlobal: true, useClass: Factory }),
    TaskflowModule.forRootAsync({ useExisting: Factory }),
  ],
  providers: [SendEmail, TaskflowExceptionFilter],
})
export class AppModule {}

export async function uses(system: TaskSystem, app: INestApplicationContext, repository: TaskRepository): Promise<void> {
  const byClass = await system.submit(SendEmail, { input: { to: 'a' }, userId: null });
  const sent: boolean | undefined = byClass.result?.sent;
  const byName = await system.submit('send-email', { input: { to: 'a' }, priority: 1, tags: ['x'], runAt: new Date(), waitForSlot: true });
  const to: string = byName.input.to;
  await system.submit('unknown-to-the-map', { input: [1, 2] });
  await system.submit(Count, { input: 5, delayMs: 5, maxAttempts: 1, timeoutMs: 5 });
  // @ts-expect-error the input of the handler's class
  await system.submit(SendEmail, { input: { too: 'a' } });
  // @ts-expect-error the input of the name in TaskMap
  await system.submit('send-email', { input: 5 });
  // @ts-expect-error a class that handles nothing
  await system.submit(Mailer, { input: 5 });

  const stream = system.subscribe(byClass, { lastSeq: 3, signal: new AbortController().signal });
  stream.subscribe((event) => event.payload).unsubscribe();
  for await (const event of stream) await system.getStatus(event);
  await system.result<{ sent: boolean }>({ taskId: byClass.id }, { userId: 'u' });
  await system.cancel(byClass.idempotencyKey, { reason: `${to} ${sent}` });
  const page = await system.list({ status: 'failed', deadLettered: true, limit: 5 });
  await system.list({ cursor: page.nextCursor ?? undefined });
  system.defineTask('plain', {
    handler: async (input: { a: number }) => input.a,
    recovery: async () => ({ recovered: false }),
    idempotency: 'input',
  });
  system.defineTask<number, void>('generator', { async *handler(input) { yield { type: 'progress', payload: input }; } }); // prettier-ignore
  await system.shutdown({ timeoutMs: 5, force: true });

  const dead = app.get(DeadLetterService);
  const retried: number = await dead.retryAll((task) => task.name === byClass.name);
  await dead.retry(byClass, { userId: 'u' });
  const removed: boolean = await dead.remove(byClass);
  const own = await createTaskSystem({ repository: { type: 'custom', repository } }, createHooks({ logger: console }));
  await own.initialize();
  system.getStats().tasks.queued.toFixed(retried + Number(removed));
}

export function narrows(error: unknown): number | string | undefined {
  if (BackpressureError.is(error)) return (error.retryAfterMs ?? 0) + error.limit.length;
  if (EventLogFullError.is(error)) return error.state + error.outcome + error.retryAfterMs;
  if (ValidationError.is(error) || ConfigValidationError.is(error)) return error.issues[0]?.path;
  return TaskSystemError.is(error) ? error.getStatus() + error.code : undefined;
}

export const shape = {
  guard: { slots: { maxExecutionGlobal: 5 } },
  repository: { type: 'postgres', url: 'x' },
} satisfies TaskflowOptionsShape;
// @ts-expect-error a name that is not there
export const misspelt = { guard: { slots: { maxExecutionsGlobal: 5 } } } satisfies TaskflowOptionsShape;
// @ts-expect-error the same for forRoot itself
TaskflowModule.forRoot({ guard: { slots: { maxExecutionsGlobal: 5 } } });
// @ts-expect-error a branch that is not there
TaskflowModule.forRoot({ streams: {} });
// @ts-expect-error a number that is a text, as the environment has it
TaskflowModule.forRoot({ executor: { defaultTimeoutMs: '5000' } });
// @ts-expect-error a value that is not one of the two
TaskflowModule.forRoot({ flush: { worker: 'thread' } });
// @ts-expect-error a database that is not known
TaskflowModule.forRoot({ repository: { type: 'sqlight' } });
// @ts-expect-error the same for createTaskSystem
void createTaskSystem({ eventlog: { eventLogPath: './x' } });
// @ts-expect-error the same for what a factory returns
export const factory = (): TaskflowOptionsInput => ({ executor: { retries: 5 } });
export const some = TaskflowModule.forRoot({
  isGlobal: false,
  executor: { retry: { maxAttempts: undefined, jitter: false } },
  repository: { type: 'postgres', url: 'postgres://db/app', extra: { max: 3 }, ssl: { ca: 'x' } },
});
export const read = (options: TaskflowOptions): number => options.guard.backpressure.windowSizeMs;
