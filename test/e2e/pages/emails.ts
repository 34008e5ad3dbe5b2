// emails.ts
import { Injectable, Module } from '@nestjs/common';
import { IsEmail } from 'class-validator';
import { type TaskContext, TaskHandler } from 'nestjs-taskflow';

@Injectable()
export class Mailer {
  async send(_to: string): Promise<void> {}
}

export class SendEmailDto {
  @IsEmail() to!: string;
}

@Injectable()
@TaskHandler('send-email', { input: SendEmailDto, retry: { maxAttempts: 3, initialDelayMs: 1_000 } })
export class SendEmail implements TaskHandler<SendEmailDto, { sent: string }> {
  constructor(private readonly mailer: Mailer) {}

  async handle({ to }: SendEmailDto, ctx: TaskContext) {
    await ctx.progress({ sending: to });
    await this.mailer.send(to);
    return { sent: to };
  }
}

@Module({ providers: [Mailer, SendEmail], exports: [Mailer] })
export class EmailsModule {}
