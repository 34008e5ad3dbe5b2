import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { HttpAdapterHost } from '@nestjs/core';
import { LateClose } from '../../../lib/http/late-close.js';

const server = createServer();
afterEach(() => new Promise((resolve) => server.close(resolve)));

describe('A client that leaves while a guard runs', () => {
  it('is missed also by a Nest that begins to listen for that afterwards', async () => {
    new LateClose({ httpAdapter: { getHttpServer: () => server } } as unknown as HttpAdapterHost).onModuleInit();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const call = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }).on('error', () => undefined);
    call.end();
    const [{ socket }] = (await once(server, 'request')) as [IncomingMessage];
    const closed = once(socket, 'close');
    call.destroy();
    await closed;
    let calls = 0;
    await new Promise<void>((resolve) => {
      socket.once('close', () => {
        calls += 1;
        resolve();
      });
    });
    expect(calls).toBe(1);
  });

  it('asks nothing of an application without HTTP', () => {
    expect(() => new LateClose().onModuleInit()).not.toThrow();
    expect(() => new LateClose({ httpAdapter: {} } as HttpAdapterHost).onModuleInit()).not.toThrow();
  });
});
