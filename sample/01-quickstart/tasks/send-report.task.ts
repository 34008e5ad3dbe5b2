import { setTimeout as sleep } from 'node:timers/promises';
import { IsNotEmpty, IsString, MaxLength } from 'class-validator';
import { type TaskContext, TaskHandler } from 'nestjs-taskflow';

export class SendReportDto {
  @IsString() @IsNotEmpty() @MaxLength(100) readonly title!: string;
}

const STEPS = ['collecting', 'rendering', 'sending'];

/** The simplest kind: a promise, with a word now and then on how far it is. */
@TaskHandler('send-report', { input: SendReportDto, timeoutMs: 30_000 })
export class SendReport implements TaskHandler<SendReportDto, { title: string; pages: number }> {
  async handle(input: SendReportDto, ctx: TaskContext): Promise<{ title: string; pages: number }> {
    for (const [at, status] of STEPS.entries()) {
      await ctx.progress({ status, done: at, total: STEPS.length });
      // The signal fires on cancel, timeout and shutdown: whatever waits should listen to it.
      await sleep(500, undefined, { signal: ctx.signal });
    }
    return { title: input.title, pages: 12 };
  }
}
