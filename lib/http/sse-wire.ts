import type { MessageEvent } from '@nestjs/common';

/** The part of Node's response that takes bytes. */
export interface ByteSink {
  write(bytes: Uint8Array): boolean;
  on(event: 'drain' | 'close', listener: () => void): unknown;
  readonly destroyed?: boolean;
  readonly writableEnded?: boolean;
}

const LINE_END = /\r\n|\r|\n/;
const lines = (text: string, prefix: string): string =>
  text
    .split(LINE_END)
    .map((line) => `${prefix}${line}\n`)
    .join('');
const oneLine = (value: unknown): string => String(value).replaceAll(/[\r\n]/g, '');
const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== '';

/** As Nest formats it: data that is no text was encoded before. */
function format({ type, id, retry, comment, data }: MessageEvent & { comment?: string }): string {
  return `${isGiven(type) ? `event: ${oneLine(type)}\n` : ''}${id === undefined || id === null ? '' : `id: ${oneLine(id)}\n`}${
    retry === undefined || retry === null ? '' : `retry: ${oneLine(retry)}\n`
  }${comment === undefined || comment === null ? '' : lines(comment, ': ')}${
    data === undefined || data === null ? '' : lines(typeof data === 'string' ? data : JSON.stringify(data), 'data: ')
  }\n`;
}

/**
 * Writes messages to many responses. A message that goes to thousands is encoded once, and what one turn of the event loop brings for a
 * response is one write.
 */
export class SseWire {
  /** By message: all responses of a task are handed the same one. */
  private readonly encoded = new WeakMap<MessageEvent, Buffer>();
  private readonly waiting = new Set<WireEnd>();

  /** @param onFlow told false when the response takes no more for now, and true when it does again. */
  connect(response: ByteSink, onFlow: (isOpen: boolean) => void): WireEnd {
    return new WireEnd(response, this, onFlow);
  }

  bytesOf(message: MessageEvent): Buffer {
    let bytes = this.encoded.get(message);
    if (bytes === undefined) this.encoded.set(message, (bytes = Buffer.from(format(message))));
    return bytes;
  }

  later(end: WireEnd): void {
    if (this.waiting.size === 0) setImmediate(() => this.flush());
    this.waiting.add(end);
  }

  private flush(): void {
    const ends = [...this.waiting];
    this.waiting.clear();
    for (const end of ends) end.flush();
  }
}

/** One response. */
export class WireEnd {
  private batch: Buffer[] = [];

  constructor(
    private readonly response: ByteSink,
    private readonly wire: SseWire,
    private readonly onFlow: (isOpen: boolean) => void,
  ) {
    response.on('drain', () => onFlow(true));
    response.on('close', () => (this.batch = []));
  }

  send(message: MessageEvent): void {
    if (this.batch.length === 0) this.wire.later(this);
    this.batch.push(this.wire.bytesOf(message));
  }

  flush(): void {
    const { batch, response } = this;
    if (batch.length === 0) return;
    this.batch = [];
    if (response.destroyed === true || response.writableEnded === true) return;
    if (!response.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch))) this.onFlow(false);
  }
}
