import { type CanActivate, type ExecutionContext, Injectable, UnauthorizedException } from '@nestjs/common';
import type { Request } from 'express';

export interface RequestOfUser extends Request {
  userId?: string;
}

const NAME = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * Says who is calling. It believes the caller: a real app checks a session or a token here. All that Taskflow needs is the outcome,
 * a user id that no client can choose.
 */
@Injectable()
export class UserGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<RequestOfUser>();
    if (!request.path.startsWith('/api/')) return true;
    const claimed = request.get('x-user') ?? request.query['user'] ?? cookieOf(request, 'user');
    if (typeof claimed !== 'string' || !NAME.test(claimed))
      throw new UnauthorizedException('Say who you are: header x-user, ?user= or cookie user.');
    request.userId = claimed;
    return true;
  }
}

function cookieOf(request: Request, name: string): string | undefined {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([key]) => key === name)?.[1];
}
