import { crc32 } from 'node:zlib';

export interface ParsedEntry {
  readonly seq: number;
  readonly payload: number;
}

const hex8 = (crc: number): string => crc.toString(16).padStart(8, '0');
const payloadOf = (line: string): number => (JSON.parse(line) as { d: { payload: number } }).d.payload;

/**
 * The entries of every frame whose checksum is right, from the header to the first byte that is not proven. Written after the format,
 * not after the code that the log reads with: what this finds, a recovery may not drop.
 */
export function parseSegment(bytes: Buffer): ParsedEntry[] {
  const headEnd = bytes.indexOf(10);
  const head = /^#H (\{.*\}) ([0-9a-f]{8})$/.exec(bytes.toString('latin1', 0, Math.max(headEnd, 0)));
  if (head === null || hex8(crc32(head[1]!)) !== head[2]) return [];
  const salt = crc32(head[1]!);
  const entries: ParsedEntry[] = [];
  for (let at = headEnd + 1; at < bytes.length;) {
    const lineEnd = bytes.indexOf(10, at);
    const line = bytes.toString('latin1', at, Math.max(lineEnd, at));
    const length = /^#B \d+ \d+ \d+ (\d+) [0-9a-f]{8} [0-9a-f]{8}$/.exec(line)?.[1];
    if (length === undefined) break;
    const body = bytes.subarray(lineEnd + 1, lineEnd + 1 + Number(length));
    if (hex8(crc32(body, crc32(line.slice(0, -8), salt))) !== line.slice(-8)) break;
    for (const text of body.toString('utf8').split('\n').slice(0, -1))
      entries.push({ seq: (JSON.parse(text) as { s: number }).s, payload: payloadOf(text) });
    at = lineEnd + 1 + body.length;
  }
  return entries;
}
