import { BadRequestException, Body, Controller, Get, Put } from '@nestjs/common';
import { TaskSystem, type TaskSystemStats } from 'nestjs-taskflow';
import { PaymentGateway } from '../tasks/payment-gateway.service.js';

interface Status {
  readonly pid: number;
  readonly uptimeMs: number;
  readonly gatewayIsUp: boolean;
  readonly stats: TaskSystemStats;
}

@Controller('api/status')
export class StatusController {
  constructor(
    private readonly tasks: TaskSystem,
    private readonly gateway: PaymentGateway,
  ) {}

  @Get()
  read(): Status {
    return {
      pid: process.pid,
      uptimeMs: Math.round(process.uptime() * 1000),
      gatewayIsUp: this.gateway.isUp,
      stats: this.tasks.getStats(),
    };
  }

  @Put('gateway')
  repair(@Body('isUp') isUp: unknown): Status {
    if (typeof isUp !== 'boolean') throw new BadRequestException('isUp must be a boolean');
    this.gateway.isUp = isUp;
    return this.read();
  }
}
