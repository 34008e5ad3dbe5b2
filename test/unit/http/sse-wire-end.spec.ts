import { describe, expect, it } from '@jest/globals';
import { SseWire } from '../../../lib/http/sse-wire.js';
import { settle } from '../../support/clock/fake-clock.js';

/** A response that takes what it is told to. */
class Response {
  readonly writes: string[] = [];
  takes = true;
  destroyed = false;
  readonly listeners = new Map<string, () => void>();

  write(bytes: Uint8Array): boolean {
    this.writes.push(Buffer.from(bytes).toString());
    return this.takes;
  }
  on(event: string, listener: () => void): void {
    this.listeners.set(event, listener);
  }
}

describe('The wire of many responses', () => {
  it('encodes a message once for all, and writes once what one turn of the event loop brings', async () => {
    const wire = new SseWire();
    const responses = Array.from({ length: 3 }, () => new Response());
    const ends = responses.map((response) => wire.connect(response, () => undefined));
    let encoded = 0;
    const message = { id: '1', type: 'progress', get data() { encoded += 1; return '{}'; } }; // prettier-ignore
    for (const end of ends) {
      end.send(message);
      end.send({ id: '2', retry: 7 });
      end.send({ comment: 'keep-alive' } as never);
    }
    await settle();
    for (const { writes } of responses) expect(writes).toEqual(['event: progress\nid: 1\ndata: {}\n\nid: 2\nretry: 7\n\n: keep-alive\n\n']);
    expect(encoded).toBeLessThan(4);
  });

  it('keeps every line of a message a line of its field', async () => {
    const response = new Response();
    const end = new SseWire().connect(response, () => undefined);
    end.send({ id: '1\ndata: x', type: 'a\rb', data: 'a\r\nb\rc\nd' });
    end.flush();
    expect(response.writes).toEqual(['event: ab\nid: 1data: x\ndata: a\ndata: b\ndata: c\ndata: d\n\n']);
  });

  it('says when a response takes no more, and when it does again; writes nothing to one that is gone', () => {
    const response = new Response();
    const flow: boolean[] = [];
    const end = new SseWire().connect(response, (isOpen) => flow.push(isOpen));
    response.takes = false;
    end.send({ id: '1', data: 'a' });
    end.flush();
    response.listeners.get('drain')!();
    response.destroyed = true;
    end.send({ id: '2', data: 'b' });
    end.flush();
    expect([flow, response.writes.length]).toEqual([[false, true], 1]);
  });
});
