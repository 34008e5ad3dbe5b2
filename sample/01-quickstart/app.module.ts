import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import { TaskflowExceptionFilter, TaskflowModule } from 'nestjs-taskflow';
import { ChargeCard } from './tasks/charge-card.task.js';
import { ImportRows } from './tasks/import-rows.task.js';
import { PaymentGateway } from './tasks/payment-gateway.service.js';
import { SendReport } from './tasks/send-report.task.js';
import { DeadLettersController } from './web/dead-letters.controller.js';
import { PageController } from './web/page.controller.js';
import { StatusController } from './web/status.controller.js';
import { TasksController } from './web/tasks.controller.js';
import { UserGuard } from './web/user.guard.js';

const folder = process.env['TASKFLOW_DIR'] ?? './.taskflow';

@Module({
  imports: [
    TaskflowModule.forRoot({
      eventLog: { eventLogPath: join(folder, 'events.log') },
      repository: { type: 'sqlite', database: join(folder, 'tasks.db') },
      // Ctrl+C does not wait for a long import: it is released, and goes on at the next start.
      shutdown: { timeoutMs: 2_000 },
      // The page is for developers. Visitors should not read why a payment gateway failed: by default they are told name and code.
      stream: { exposeErrorMessages: true },
    }),
  ],
  controllers: [PageController, TasksController, DeadLettersController, StatusController],
  providers: [
    PaymentGateway,
    SendReport,
    ImportRows,
    ChargeCard,
    { provide: APP_FILTER, useClass: TaskflowExceptionFilter },
    { provide: APP_GUARD, useClass: UserGuard },
  ],
})
export class AppModule {}
