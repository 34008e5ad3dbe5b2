import { FakeClock, settle } from '../../support/clock/fake-clock.js';
import type { WatchPorts } from '../../../lib/client/ports.js';

export interface Asked {
  readonly headers: Readonly<Record<string, string>>;
  readonly init: RequestInit;
}
/** One connection that a test writes to. */
export class Connection {
  private controller!: ReadableStreamDefaultController<Uint8Array>;
  isAborted = false;
  readonly response: Response;

  constructor(
    readonly asked: Asked,
    headers: Record<string, string>,
  ) {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.controller = controller) }, { highWaterMark: 0 });
    this.response = new Response(body, { headers: { 'content-type': 'text/event-stream', ...headers } });
    asked.init.signal?.addEventListener('abort', () => {
      if (!this.isAborted) this.controller.error(new Error('aborted'));
      this.isAborted = true;
    });
  }

  async write(...pieces: (string | Uint8Array)[]): Promise<void> {
    for (const piece of pieces) {
      this.controller.enqueue(typeof piece === 'string' ? new TextEncoder().encode(piece) : piece);
      await settle();
    }
  }
  event(seq: number, more: Parameters<typeof eventText>[1] = {}): Promise<void> {
    return this.write(eventText(seq, more));
  }
  async end(): Promise<void> {
    this.controller.close();
    await settle();
  }
  async cut(): Promise<void> {
    this.isAborted = true;
    this.controller.error(new TypeError('terminated'));
    await settle();
  }
  /** How many pieces lie there that nobody took. */
  get unread(): number {
    return -(this.controller.desiredSize ?? 0);
  }
}

export function eventText(
  seq: number,
  { id = String(seq), type = 'progress', ...more }: { id?: string; type?: string; [field: string]: unknown } = {},
): string {
  const data = { seq, type, taskId: 'task-1', attempt: 1, timestamp: 1_700_000_000_000 + seq, ...more };
  return `event: ${type === 'error' ? 'failed' : type}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

type Answer = ((asked: Asked) => Response | Promise<Response>) | Response | Error;

/** A server in memory, time that is moved by hand, and a page that can be hidden. */
export class ClientHouse {
  readonly clock = new FakeClock();
  readonly asked: Asked[] = [];
  readonly connections: Connection[] = [];
  /** Answers to come, before connections are opened. */
  readonly answers: Answer[] = [];
  chance = 0.5;
  isHidden = false;
  listeners = new Set<() => void>();

  readonly ports: WatchPorts = {
    now: () => this.clock.now(),
    random: () => this.chance,
    after: (delayMs, callback) => {
      const timer = this.clock.after(delayMs, callback);
      return () => timer.cancel();
    },
    isHidden: () => this.isHidden,
    onChange: (listener) => {
      this.listeners.add(listener);
      return () => void this.listeners.delete(listener);
    },
  };

  readonly fetch = (async (_url: string | URL, init: RequestInit): Promise<Response> => {
    const asked = { headers: init.headers as Record<string, string>, init };
    this.asked.push(asked);
    const answer = this.answers.shift();
    if (answer instanceof Error) throw answer;
    if (answer !== undefined) return typeof answer === 'function' ? answer(asked) : answer;
    const connection = new Connection(asked, {});
    this.connections.push(connection);
    return connection.response;
  }) as typeof fetch;

  get last(): Connection {
    return this.connections.at(-1)!;
  }

  change(isHidden = this.isHidden): void {
    this.isHidden = isHidden;
    for (const listener of this.listeners) listener();
  }
}
