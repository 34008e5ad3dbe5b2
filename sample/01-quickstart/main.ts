import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ['error', 'warn'] });
  // Ctrl+C then lets running tasks finish and seals the log. It is a courtesy: kill -9 loses nothing either.
  app.enableShutdownHooks();
  // Nobody is authenticated here, so only this machine may call, unless HOST says otherwise.
  await app.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  console.log(`Quickstart is at http://localhost:${port} (pid ${process.pid}). Try: kill -9 ${process.pid}, then start it again.`);
}

bootstrap().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
