import { closeSync, fdatasync, openSync, write } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { inFlight } from '../core/load.mjs';
import { CALLERS, newFolder, removeFolder } from '../core/settings.mjs';
import { quantile } from '../core/statistics.mjs';

const WARM_UP = 20_000;
const RECORDS = 100_000;
const SINGLE_RECORDS = 2_000;
const writeTo = promisify(write);
const sync = promisify(fdatasync);

/** The least that a durable acknowledgement costs: encode, checksum, one write and fdatasync in flight, all that waits in the next one. */
class GroupCommit {
  #waiting = [];
  #isRunning = false;

  constructor(fd) {
    this.fd = fd;
  }

  append(record) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run() {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const bytes = Buffer.from(batch.map(({ record }) => `${JSON.stringify(record)}\n`).join(''));
        const mark = Buffer.from(`#B ${batch.length} ${bytes.length} ${crc32(bytes).toString(16)}\n`);
        await writeTo(this.fd, Buffer.concat([mark, bytes]));
        await sync(this.fd);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isRunning = false;
  }
}

const recordOf = (number) => ({
  seq: number,
  type: 'created',
  task: '01890a5d-ac96-774b-bcce-b302099a8057',
  at: 1_700_000_000_000 + number,
  owner: '1-b302099a8057',
  data: { to: 'somebody@example.com', subject: 'Your report is ready', body: 'x'.repeat(94) },
});

/** Records a second from 256 callers, and one record at a time, on the disk that the workloads use. */
export async function run({ quick }) {
  const records = quick ? RECORDS / 4 : RECORDS;
  const singles = quick ? SINGLE_RECORDS / 4 : SINGLE_RECORDS;
  const folder = await newFolder();
  const fd = openSync(join(folder, 'ceiling.log'), 'ax');
  try {
    const log = new GroupCommit(fd);
    await inFlight(WARM_UP, CALLERS, (number) => log.append(recordOf(number)));
    const startedAt = performance.now();
    await inFlight(records, CALLERS, (number) => log.append(recordOf(number)));
    const perSecond = (records / (performance.now() - startedAt)) * 1000;
    const latencies = [];
    const singlesFrom = performance.now();
    await inFlight(singles, 1, async (number) => {
      const from = performance.now();
      await log.append(recordOf(number));
      latencies.push(performance.now() - from);
    });
    const singlePerSecond = (singles / (performance.now() - singlesFrom)) * 1000;
    return { perSecond, singlePerSecond, singleP50Ms: quantile(latencies, 0.5), singleP99Ms: quantile(latencies, 0.99) };
  } finally {
    closeSync(fd);
    await removeFolder(folder);
  }
}
