import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { RequestOfUser } from './user.guard.js';

/**
 * The user that the guard found. Without the guard it is undefined, and Taskflow answers `userId: undefined` with an error: a route
 * that was forgotten never reads the tasks of all users.
 */
export const CurrentUser = createParamDecorator(
  (_: unknown, context: ExecutionContext): string | undefined => context.switchToHttp().getRequest<RequestOfUser>().userId,
);
