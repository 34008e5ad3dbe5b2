import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import {
  Body,
  type CanActivate,
  Controller,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type MessageEvent,
  Module,
  Post,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { IsInt, Max, Min } from 'class-validator';
import {
  type TaskContext,
  TaskEvents,
  TaskflowExceptionFilter,
  TaskflowModule,
  TaskHandler,
  TasksController,
  TaskSse,
  TaskSystem,
} from 'nestjs-taskflow';
import type { Observable } from 'rxjs';

const STEP_MS = Number(process.env['STEP_MS'] ?? 20);

class CountDto {
  @IsInt()
  @Min(1)
  @Max(10_000)
  to!: number;
}

@Injectable()
@TaskHandler('count', { input: CountDto })
export class Count implements TaskHandler<CountDto, { counted: number }> {
  async handle({ to }: CountDto, ctx: TaskContext): Promise<{ counted: number }> {
    const last = ctx.previousEvents.findLast(({ type }) => type === 'progress');
    for (let n = ((last?.payload as { n: number } | undefined)?.n ?? 0) + 1; n <= to; n++) {
      ctx.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
      await ctx.progress({ n });
    }
    return { counted: to };
  }
}

/** What guard, controller and stream read of a Fastify request. */
interface Request {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly params: { readonly id: string };
  userId?: string;
}
const requestOf = (context: ExecutionContext): Request => context.switchToHttp().getRequest<Request>();
const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext) => requestOf(context).userId);

/** In place of a login: whoever asks is who he says. */
@Injectable()
class Login implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = requestOf(context);
    const userId = request.headers['x-user'] ?? request.query['user'];
    if (userId === undefined) throw new UnauthorizedException('Say who you are: x-user, or ?user=');
    request.userId = userId;
    return true;
  }
}

/** By hand, for whoever needs routes of his own. */
@Controller('counts')
@UseGuards(Login)
class CountController {
  constructor(private readonly tasks: TaskSystem) {}

  @Post()
  submit(@Body() input: CountDto, @CurrentUser() userId: string) {
    return this.tasks.submit(Count, { input, userId });
  }

  @TaskSse(':id/events', (context) => ({ ref: { taskId: requestOf(context).params.id }, userId: requestOf(context).userId as string }))
  events(@TaskEvents() events: Observable<MessageEvent>): Observable<MessageEvent> {
    return events;
  }
}

const folder = process.env['TASKFLOW_DIR'] ?? './.taskflow';

@Module({
  imports: [
    TaskflowModule.forRoot({
      eventLog: { eventLogPath: `${folder}/events.log` },
      repository: { type: 'sqlite', database: `${folder}/tasks.db` },
      shutdown: { timeoutMs: 2_000 },
    }),
  ],
  controllers: [
    CountController,
    // And in one line, with lists, cancel, retry and dead letters.
    TasksController({ guards: [Login], userId: (request: Request) => request.userId, submit: [Count] }),
  ],
  providers: [Count, { provide: APP_FILTER, useClass: TaskflowExceptionFilter }],
})
class AppModule {}

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  await app.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  console.log(`The Fastify sample is at http://localhost:${port} (pid ${process.pid}).`);
}

bootstrap().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
