import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Controller, Get, type INestApplication, type MessageEvent, Module, Param, Query, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Observable } from 'rxjs';
import { resolveOptions } from '../../../lib/config/resolve-options.js';
import { NotFoundError } from '../../../lib/errors/request.errors.js';
import { LastEventId } from '../../../lib/http/last-event-id.decorator.js';
import { TaskflowExceptionFilter } from '../../../lib/http/taskflow-exception.filter.js';
import { SystemClock } from '../../../lib/primitives/system-clock.js';
import { StreamService } from '../../../lib/stream/stream.service.js';
import { FakeFacts } from '../../support/doubles/fake-facts.js';
import { FakeTelemetry } from '../../support/doubles/fake-telemetry.js';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** All bytes so far. */
  text(): string;
  /** Resolves when the response has ended, or the text holds what is waited for. */
  until(text?: string): Promise<string>;
  leave(): void;
}

/** A Nest app with an `@Sse()` route over facts in memory, listening on a port of its own, on real time. */
export class HttpHouse {
  readonly facts = new FakeFacts();
  readonly streams: StreamService;
  private readonly answers: Answer[] = [];
  /** Connections are kept alive, as browsers do. */
  private readonly agent = new Agent({ keepAlive: true });

  private constructor(
    stream: Record<string, number>,
    public app: INestApplication,
  ) {
    this.streams = new StreamService(resolveOptions({ stream }), new SystemClock(), this.facts, this.facts, new FakeTelemetry());
    this.streams.start();
  }

  /** @param filter `host`: made by the container; `bare`: by hand; `none`: Nest's own filter answers. */
  static async open(stream: Record<string, number> = {}, filter: 'host' | 'bare' | 'none' = 'host'): Promise<HttpHouse> {
    const house = new HttpHouse(stream, undefined as unknown as INestApplication);
    house.app = await NestFactory.create(moduleOf(house), { logger: false });
    if (filter === 'host') house.app.useGlobalFilters(house.app.get(TaskflowExceptionFilter));
    if (filter === 'bare') house.app.useGlobalFilters(new TaskflowExceptionFilter());
    await house.app.listen(0, '127.0.0.1');
    return house;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.app.getHttpServer().address() as AddressInfo).port}`;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const call = request(`${this.url}${path}`, { headers, agent: this.agent }, (response) => {
        let text = '';
        let hasEnded = false;
        const waiting = new Set<() => void>();
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          for (const check of waiting) check();
        });
        response.on('close', () => {
          hasEnded = true;
          for (const check of waiting) check();
        });
        const until = (wanted?: string): Promise<string> =>
          new Promise((found) => {
            const check = (): void => {
              if (!hasEnded && (wanted === undefined || !text.includes(wanted))) return;
              waiting.delete(check);
              found(text);
            };
            waiting.add(check);
            check();
          });
        const answer: Answer = {
          status: response.statusCode!,
          headers: response.headers,
          text: () => text,
          until,
          leave: () => void call.destroy(),
        };
        this.answers.push(answer);
        resolve(answer);
      });
      call.on('error', reject);
      call.end();
    });
  }

  async close(): Promise<void> {
    for (const answer of this.answers) answer.leave();
    this.agent.destroy();
    await this.streams.stop();
    await this.app.close();
  }
}

function moduleOf(house: HttpHouse): new () => object {
  @Controller()
  class TasksController {
    @Sse('tasks/:id/events')
    async events(
      @Param('id') id: string,
      @Query('user') user: string | undefined,
      @LastEventId() lastSeq?: number,
    ): Promise<Observable<MessageEvent>> {
      await Promise.resolve();
      if (id === 'unknown') throw new NotFoundError();
      return house.streams.sse(house.facts.state(id), { userId: user ?? null, lastSeq: lastSeq ?? 0 });
    }
    @Get('position')
    position(@LastEventId() lastSeq?: number): { position: number | null } {
      return { position: lastSeq ?? null };
    }
  }
  @Module({ controllers: [TasksController], providers: [TaskflowExceptionFilter] })
  class App {
    beforeApplicationShutdown(): Promise<void> {
      return house.streams.stop();
    }
  }
  return App;
}
