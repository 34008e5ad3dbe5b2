import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromWorker } from './worker.js';

const ROWS = 50;
const ROW_MS = 40;
const KILL_AT = 0.4;
const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));

/** What came through the stream, over all workers. */
class Watch {
  /** In the order in which they came. */
  readonly seqs: number[] = [];
  readonly rows: number[] = [];
  readonly types: string[] = [];
  result: number | undefined;

  get lastSeq(): number {
    return this.seqs.at(-1) ?? 0;
  }

  take(message: FromWorker): void {
    if ('result' in message) {
      this.result = message.result;
      return;
    }
    const { seq = Number.NaN, type, payload } = message.event;
    this.seqs.push(seq);
    this.types.push(type);
    if (type === 'progress') this.rows.push(payload.done);
    console.log(`  ${String(seq).padStart(3)} ${type}${type === 'progress' ? ` ${bar(payload.done)}` : ''}`);
  }

  /** What is wrong with it; empty: nothing. */
  faults(): string[] {
    const faults: string[] = [];
    if (this.seqs.some((seq, at) => seq !== at + 1)) faults.push(`seqs are not 1, 2, 3 …: ${this.seqs.join(' ')}`);
    if (this.rows.some((row, at) => row !== at + 1)) faults.push(`rows are not 1, 2, 3 …: ${this.rows.join(' ')}`);
    if (this.rows.length !== ROWS) faults.push(`${this.rows.length} rows instead of ${ROWS}`);
    if (this.types.filter((type) => type === 'recovered').length !== 1) faults.push('not recovered exactly once');
    if (this.types.filter((type) => type === 'complete').length !== 1) faults.push('not completed exactly once');
    if (this.result !== ROWS) faults.push(`result ${this.result} instead of ${ROWS}`);
    return faults;
  }
}

const bar = (done: number): string => `${'█'.repeat(Math.round((done / ROWS) * 20)).padEnd(20, '·')} ${done}/${ROWS}`;

/** Runs one worker to its end, or until so many rows are seen: then it gets the signal that no process can catch. */
async function work(folder: string, watch: Watch, killAtRow = Infinity): Promise<string> {
  const worker = fork(WORKER, [folder, String(ROWS), String(ROW_MS), String(watch.lastSeq)]);
  console.log(`worker ${worker.pid} starts, stream after seq ${watch.lastSeq}`);
  worker.on('message', (message: FromWorker) => {
    // What was on its way when the worker died is not seen: the next worker sends it.
    if (worker.killed) return;
    watch.take(message);
    if (watch.rows.length >= killAtRow) worker.kill('SIGKILL');
  });
  const [code, signal] = (await once(worker, 'exit')) as [number | null, string | null];
  return signal ?? `exit code ${code}`;
}

async function main(folder: string): Promise<void> {
  const watch = new Watch();
  console.log(`worker ended: ${await work(folder, watch, ROWS * KILL_AT)}`);
  console.log(`worker ended: ${await work(folder, watch)}`);
  const faults = watch.faults();
  for (const fault of faults) console.log(`BROKEN: ${fault}`);
  if (faults.length === 0) console.log(`survived: seq 1 to ${watch.lastSeq} without a gap, ${ROWS} rows, each once`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

const folder = await mkdtemp(join(tmpdir(), 'taskflow-survives-'));
try {
  await main(folder);
} finally {
  await rm(folder, { recursive: true, force: true });
}
