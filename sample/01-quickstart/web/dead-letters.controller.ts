import { Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { DeadLetterService, type Page, type Task } from 'nestjs-taskflow';
import { CurrentUser } from './current-user.decorator.js';

@Controller('api/dead-letters')
export class DeadLettersController {
  constructor(private readonly deadLetters: DeadLetterService) {}

  @Get()
  list(@CurrentUser() userId: string): Promise<Page<Task>> {
    return this.deadLetters.list({ userId, limit: 20 });
  }

  @Post(':id/retry')
  @HttpCode(200)
  retry(@Param('id') taskId: string, @CurrentUser() userId: string): Promise<Task> {
    return this.deadLetters.retry({ taskId }, { userId });
  }

  @Delete(':id')
  async remove(@Param('id') taskId: string, @CurrentUser() userId: string): Promise<{ removed: boolean }> {
    return { removed: await this.deadLetters.remove({ taskId }, { userId }) };
  }
}
