/** One message as the standard (WHATWG HTML 9.2.6) takes it from the bytes. */
export interface SseMessage {
  /** Last id that the stream gave, of this message or an earlier one. */
  readonly id: string;
  /** Undefined: only the id, or a hint, came. */
  readonly data: string | undefined;
  readonly name: string;
}

export interface SseListener {
  onMessage(message: SseMessage): void;
  onRetry(ms: number): void;
}

/** Ms that a timer takes: 11 days at most. */
const DIGITS = /^\d{1,9}$/;

/** The same event would come again: no repetition helps. */
export class EventTooLong extends Error {
  constructor(maxLength: number) {
    super(`An event is longer than maxEventLength (${maxLength} characters).`);
  }
}

/**
 * A function that takes decoded text in pieces of any size. What no empty line has ended is no message yet, and never becomes one when the
 * stream stops there.
 * @throws EventTooLong from the call in which a message passes `maxLength` characters.
 */
export function sseParser(listener: SseListener, maxLength: number): (text: string) => void {
  let rest = '';
  let endsInCr = false;
  let [id, name] = ['', ''];
  let data: string | undefined;
  let hasField = false;

  const checkLength = (more: number): void => {
    if (more + (data?.length ?? 0) > maxLength) throw new EventTooLong(maxLength);
  };
  const takeLine = (line: string): void => {
    if (line === '') {
      if (hasField) listener.onMessage({ id, name, data });
      hasField = false;
      name = '';
      data = undefined;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
    else if (field === 'event') name = value;
    else if (field === 'retry' && DIGITS.test(value)) listener.onRetry(Number(value));
    else if (field === 'id' && !value.includes('\0')) id = value;
    else return;
    hasField = true;
  };

  return (text) => {
    if (text === '') return;
    const lines = (endsInCr && text[0] === '\n' ? text.slice(1) : text).split(/\r\n?|\n/);
    endsInCr = text.endsWith('\r');
    lines[0] = rest + lines[0];
    rest = lines.pop() as string;
    for (const line of lines) {
      takeLine(line);
      checkLength(0);
    }
    checkLength(rest.length);
  };
}
