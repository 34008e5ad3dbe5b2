const MAX_CHARS = 4_000;
const MAX_SAID = 300;

/** What a process said on stderr before it ended. */
export class LastWords {
  private text = '';

  heard(chunk: unknown): void {
    this.text = `${this.text}${String(chunk)}`.slice(-MAX_CHARS);
  }

  /** The line that names its last error, or its last line; empty: it said nothing. */
  toString(): string {
    const lines = this.text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !/^Node\.js v\d/.test(line));
    return (lines.findLast((line) => /^([A-Za-z]+ )?[A-Za-z.]*(Error|Exception)\b/.test(line)) ?? lines.at(-1) ?? '').slice(0, MAX_SAID);
  }
}
