import { Injectable } from '@nestjs/common';
import { IsString, MaxLength, MinLength } from 'class-validator';
import { type TaskContext, TaskHandler, type TaskYield } from 'nestjs-taskflow';
import { Model } from './model.service.js';

export class PromptDto {
  @IsString()
  @MinLength(1)
  @MaxLength(2_000)
  prompt!: string;
}

/** Everything that an earlier run said: durable, so that no token is paid for twice. */
async function saidBefore(ctx: TaskContext): Promise<string> {
  let said = '';
  for await (const { eventName, payload } of ctx.history()) if (eventName === 'token') said += (payload as { text: string }).text;
  return said;
}

/** An answer, token by token. Cancelled, it stops asking; killed, it goes on behind the last token that was shown. */
@Injectable()
@TaskHandler('agent', { input: PromptDto, timeoutMs: 600_000, maxConcurrentExecutions: 8 })
export class Agent implements TaskHandler<PromptDto, { characters: number }> {
  constructor(private readonly model: Model) {}

  async *handle({ prompt }: PromptDto, ctx: TaskContext): AsyncGenerator<TaskYield, { characters: number }, void> {
    const said = await saidBefore(ctx);
    let characters = said.length;
    for await (const text of this.model.answer({ prompt, said, signal: ctx.signal })) {
      characters += text.length;
      yield { type: 'custom', eventName: 'token', payload: { text } };
    }
    return { characters };
  }
}
