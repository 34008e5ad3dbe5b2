import { Inject, Injectable, type OnModuleInit, Optional } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Nest up to 11.2.9, and 12.0 and 12.1, begins to listen for the end of an SSE client's connection when guards have let it through. A client
 * that left meanwhile is never missed: its stream keeps its place until the task ends. So whoever asks a connection that has closed to
 * tell when it closes is told at once. Later versions look for themselves.
 */
@Injectable()
export class LateClose implements OnModuleInit {
  private readonly watched = new WeakSet<Socket>();

  constructor(@Optional() @Inject(HttpAdapterHost) private readonly adapterHost?: HttpAdapterHost) {}

  onModuleInit(): void {
    // Without HTTP there is no server, and in an application context an adapter that does nothing.
    const server: Partial<Server> | undefined = this.adapterHost?.httpAdapter?.getHttpServer?.();
    server?.prependListener?.('request', (request: IncomingMessage) => this.watch(request));
  }

  private watch({ socket, httpVersionMajor }: IncomingMessage): void {
    // Over HTTP/2 the socket is the session's, not the request's.
    if (httpVersionMajor > 1 || socket === undefined || this.watched.has(socket)) return;
    this.watched.add(socket);
    socket.once('close', () => {
      const once = socket.once.bind(socket) as Socket['once'];
      Reflect.set(socket, 'once', (event: string, listener: (hadError: boolean) => void): Socket => {
        if (event !== 'close') return once(event, listener);
        process.nextTick(listener, false);
        return socket;
      });
    });
  }
}
