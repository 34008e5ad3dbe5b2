import { IsInt, Max, Min } from 'class-validator';
import { type TaskContext, TaskHandler } from 'nestjs-taskflow';
import { PaymentGateway } from './payment-gateway.service.js';

export class ChargeCardDto {
  @IsInt() @Min(1) @Max(1_000_000) readonly cents!: number;
}

/** Fails as long as the gateway is down: three attempts with growing pauses, then the task waits among the dead letters for a person. */
@TaskHandler('charge-card', { input: ChargeCardDto, retry: { maxAttempts: 3, initialDelayMs: 300, jitter: false } })
export class ChargeCard implements TaskHandler<ChargeCardDto, { receipt: string }> {
  constructor(private readonly gateway: PaymentGateway) {}

  async handle(input: ChargeCardDto, ctx: TaskContext): Promise<{ receipt: string }> {
    await ctx.progress({ status: `attempt ${ctx.attempt} of ${ctx.maxAttempts}` });
    return { receipt: this.gateway.charge(input.cents) };
  }
}
