import { closeSync, openSync, readSync } from 'node:fs';

/** Reads what the apps noted, line by line, as it grows. */
export class Ledger {
  #file;
  #position = 0;
  #rest = '';
  #buffer = Buffer.alloc(1 << 16);
  /** All lines in the order in which they were written: one app at a time writes. */
  lines = [];
  #ofKind = new Map();
  /** Of the life that runs now. */
  acks = 0;

  constructor(path) {
    this.#file = openSync(path, 'a+');
  }

  /** Takes in what is new. */
  read() {
    for (;;) {
      const count = readSync(this.#file, this.#buffer, 0, this.#buffer.length, this.#position);
      if (count === 0) return;
      this.#position += count;
      const parts = (this.#rest + this.#buffer.toString('latin1', 0, count)).split('\n');
      this.#rest = parts.pop();
      for (const part of parts) this.#take(JSON.parse(part));
    }
  }

  #take(line) {
    if (line.k === 'ack') this.acks++;
    this.lines.push(line);
    this.all(line.k).push(line);
  }

  get length() {
    return this.lines.length;
  }

  /** The lines of one kind, in order. */
  all(kind) {
    let lines = this.#ofKind.get(kind);
    if (lines === undefined) this.#ofKind.set(kind, (lines = []));
    return lines;
  }

  /** Handler calls of this life, the last one so far, that had not ended. */
  inFlight(life) {
    const open = new Set();
    for (let at = this.lines.findLastIndex(({ life: of }) => of !== life) + 1; at < this.lines.length; at++) {
      const { k, id, fence } = this.lines[at];
      if (k === 'start') open.add(`${id}/${fence}`);
      if (k === 'returned' || k === 'threw') open.delete(`${id}/${fence}`);
    }
    return open.size;
  }

  close() {
    closeSync(this.#file);
  }
}
