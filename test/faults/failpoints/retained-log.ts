import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One line of the log, as a person reads it. */
export interface LogLine {
  readonly s: number;
  readonly e: string;
  readonly t: string;
  /** Absent for control entries. */
  readonly q?: number;
  readonly f: number;
}

/** What is left of the log after a kill, in order, without any code of the library. @throws Error where a number is missing or given twice. */
export async function retainedLines(folder: string): Promise<readonly LogLine[]> {
  const lines: LogLine[] = [];
  for (const name of (await readdir(folder)).filter((each) => /^events-\d{16}\.log$/.test(each)).sort()) {
    const texts = (await readFile(join(folder, name), 'utf8')).split('\n');
    texts.pop(); // behind the last line break: nothing, or a write that was cut short
    for (const text of texts) {
      if (text.startsWith('#')) continue;
      const line = JSON.parse(text) as LogLine;
      const before = lines.at(-1)?.s;
      if (before !== undefined && line.s !== before + 1) throw new Error(`${name}: entry ${line.s} follows ${before}`);
      lines.push(line);
    }
  }
  return lines;
}
