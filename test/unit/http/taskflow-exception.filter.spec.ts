import { describe, expect, it } from '@jest/globals';
import type { ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter, type HttpAdapterHost } from '@nestjs/core';
import { lastValueFrom, type Observable } from 'rxjs';
import { BackpressureError } from '../../../lib/errors/admission.errors.js';
import { NotFoundError } from '../../../lib/errors/request.errors.js';
import { EventLogFullError } from '../../../lib/errors/storage.errors.js';
import { StreamEndedError } from '../../../lib/errors/stream.errors.js';
import type { TaskSystemError } from '../../../lib/errors/task-system.error.js';
import { TaskflowExceptionFilter } from '../../../lib/http/taskflow-exception.filter.js';

interface Reply {
  status?: number;
  body?: unknown;
  headers: Record<string, string>;
  hasEnded?: boolean;
}

function filterFor(reply: Reply, headersSent: boolean): TaskflowExceptionFilter {
  const httpAdapter = {
    isHeadersSent: () => headersSent,
    setHeader: (_: unknown, name: string, value: string) => (reply.headers[name] = value),
    reply: (_: unknown, body: unknown, status: number) => Object.assign(reply, { body, status }),
    end: () => (reply.hasEnded = true),
  };
  return new TaskflowExceptionFilter({ httpAdapter } as unknown as HttpAdapterHost);
}
const hostOf = (type: string): ArgumentsHost =>
  ({ getType: () => type, switchToHttp: () => ({ getResponse: () => ({}) }) }) as unknown as ArgumentsHost;

function answerTo(error: TaskSystemError, headersSent = false): Reply {
  const reply: Reply = { headers: {} };
  filterFor(reply, headersSent).catch(error, hostOf('http'));
  return reply;
}

describe('TaskflowExceptionFilter', () => {
  it('gives whole seconds to wait, at least one, rounded up', () => {
    expect(answerTo(new BackpressureError('user', 1_001))).toMatchObject({
      status: 429,
      headers: { 'Retry-After': '2' },
      body: { limit: 'user', retryAfterMs: 1_001 },
    });
    expect(answerTo(new BackpressureError('user', 0)).headers).toEqual({ 'Retry-After': '1' });
    // No number can be right here: then none is sent, in header or body.
    const { headers, body } = answerTo(new BackpressureError('delayed'));
    expect({ headers, body }).toEqual({
      headers: {},
      body: { statusCode: 429, code: 'BACKPRESSURE', limit: 'delayed', message: expect.stringContaining('not known') },
    });
    expect(answerTo(new NotFoundError())).toEqual({
      status: 404,
      headers: {},
      body: { statusCode: 404, code: 'NOT_FOUND', message: 'No such task.' },
    });
  });

  it('tells clients nothing of files and databases', () => {
    const reply = answerTo(new EventLogFullError('/var/data/events.log: no space'));
    expect(reply).toMatchObject({ status: 503, body: { message: 'Service Unavailable' } });
    expect(JSON.stringify(reply)).not.toContain('/var');
  });

  it('answers 204 without a body', () => {
    expect(answerTo(new StreamEndedError(3))).toEqual({ status: 204, body: undefined, headers: {} });
  });

  it('ends a response that has begun, and answers nothing into it', () => {
    expect(answerTo(new NotFoundError(), true)).toEqual({ headers: {}, hasEnded: true });
  });

  it('fails the call of whoever asked a microservice, with the body that HTTP has and the time to wait', async () => {
    const rpc = (error: TaskSystemError): Promise<unknown> => {
      const answered = filterFor({ headers: {} }, false).catch(error, hostOf('rpc'));
      return lastValueFrom(answered as Observable<never>).catch((told: unknown) => told);
    };
    expect(await rpc(new BackpressureError('user', 1_001))).toEqual({
      status: 'error',
      statusCode: 429,
      code: 'BACKPRESSURE',
      message: expect.stringContaining('user limit'),
      limit: 'user',
      retryAfterMs: 1_001,
    });
    const full = await rpc(new EventLogFullError('/var/data/events.log: no space', 500));
    expect(full).toEqual({ status: 'error', statusCode: 503, message: 'Service Unavailable', retryAfterMs: 500 });
  });

  it('sends a WebSocket client the same as `exception`, whichever library it is of', () => {
    const sent: unknown[] = [];
    const to = (client: object): void => {
      const host = { getType: () => 'ws', switchToWs: () => ({ getClient: () => client }) } as unknown as ArgumentsHost;
      filterFor({ headers: {} }, false).catch(new NotFoundError(), host);
    };
    const body = { status: 'error', statusCode: 404, code: 'NOT_FOUND', message: 'No such task.' };
    to({ emit: (...args: unknown[]) => sent.push(args), send: () => undefined });
    to({ readyState: 1, emit: () => undefined, send: (text: string) => sent.push(JSON.parse(text)) });
    expect(sent).toEqual([['exception', body], { event: 'exception', data: body }]);
  });

  it('leaves errors of other transports to them, but for texts that are not for clients', () => {
    const error = new NotFoundError();
    const filter = filterFor({ headers: {} }, false);
    expect(() => filter.catch(error, hostOf('graphql'))).toThrow(error);
    expect(() => filter.catch(new EventLogFullError('/var/data/events.log: no space'), hostOf('graphql'))).toThrow(/^Service Unavailable$/);
  });
});

describe('An error, where @nestjs/common is installed twice,', () => {
  it('keeps its status by what Nest goes by for errors that are no HttpException of its own; a 5xx keeps its text to itself', () => {
    const nest = new BaseExceptionFilter();
    for (const [error, isKnown] of [
      [new NotFoundError(), true],
      [new BackpressureError('user', 1), true],
      [new EventLogFullError('/var/data/events.log: no space'), false],
    ] as const) {
      expect([nest.isHttpError(error), error.statusCode]).toEqual([isKnown, isKnown ? error.getStatus() : undefined]);
      expect(JSON.stringify(error)).not.toContain('"expose"');
    }
  });
});
