import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type CanActivate, Controller, type ExecutionContext, Get, Header, Injectable, Module, StreamableFile } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskflowModule, TasksController } from 'nestjs-taskflow';
import { Agent } from './agent.task.js';
import { Model } from './model.service.js';

/** From the compiled `.sample-dist`: two folders below the root of the package. */
const PUBLIC = new URL('../../sample/07-agent-stream/public/', import.meta.url);
const folder = process.env['TASKFLOW_DIR'] ?? './.taskflow';

interface Request {
  userId?: string;
}

/** Nobody is authenticated here: everybody on this machine is the same user. */
@Injectable()
class Everybody implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    context.switchToHttp().getRequest<Request>().userId = 'everybody';
    return true;
  }
}

@Controller()
class PageController {
  @Get()
  @Header('content-security-policy', "default-src 'self'; img-src data:")
  async page(): Promise<StreamableFile> {
    return new StreamableFile(await readFile(new URL('index.html', PUBLIC)), { type: 'text/html; charset=utf-8' });
  }

  @Get('app.js')
  async script(): Promise<StreamableFile> {
    return new StreamableFile(await readFile(new URL('app.js', PUBLIC)), { type: 'text/javascript; charset=utf-8' });
  }

  @Get('style.css')
  async style(): Promise<StreamableFile> {
    return new StreamableFile(await readFile(new URL('style.css', PUBLIC)), { type: 'text/css; charset=utf-8' });
  }
}

@Module({
  imports: [
    TaskflowModule.forRoot({
      eventLog: { eventLogPath: join(folder, 'events.log') },
      repository: { type: 'sqlite', database: join(folder, 'tasks.db') },
      shutdown: { timeoutMs: 1_000 },
    }),
  ],
  controllers: [PageController, TasksController({ guards: [Everybody], userId: (request: Request) => request.userId, submit: [Agent] })],
  providers: [Agent, Model],
})
class AppModule {}

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  await app.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  console.log(`The agent is at http://localhost:${port} (pid ${process.pid}). Ask, then try: kill -9 ${process.pid}, and start it again.`);
}

bootstrap().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
