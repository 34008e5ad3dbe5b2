import { EventLogError, EventLogFullError, EventLogLockedError } from '../../../lib/errors/storage.errors.js';
import { TaskSystemError } from '../../../lib/errors/task-system.error.js';
import { SegmentTail } from '../../../lib/engines/local/wal/segment-tail.js';
import { DiskWitness } from './disk-witness.js';
import { draft, group, logFixture, type LogFixture } from './event-log-fixture.js';
import { FakeClock } from '../clock/fake-clock.js';
import type { LogScript, LogStep } from './log-scripts.js';
import type { SimulatedDisk } from './simulated-disk.js';

export const LOG_PATH = '/data/log/events.log';

/** What the clients of a log were told. Only what was said before the power failed counts. */
export class Ledger {
  /** Payload -> sequence. */
  readonly acknowledged = new Map<number, number>();
  /** As `acknowledged`, of what a reader was shown. */
  readonly shown = new Map<number, number>();
  readonly refused = new Set<number>();
  readonly unknown = new Set<number>();
  /** What the database has. */
  applied = 0;
  appliedCrc: string | undefined;
  next = 1;
  /** What must never happen, whatever the disk does. */
  readonly violations: string[] = [];
}

/** A process, and those after it, that lead a script on a disk which may fail or lose its power at any operation. */
export class LogWorkload {
  readonly ledger = new Ledger();
  readonly witness: DiskWitness;
  /** Errors of open. */
  readonly openErrors: unknown[] = [];
  /** Number of operations when the log said that it had failed. */
  failedAt: number | undefined;
  private fixture: LogFixture | undefined;
  private rounds = 0;

  constructor(
    private readonly disk: SimulatedDisk,
    private readonly script: LogScript,
  ) {
    this.witness = new DiskWitness(disk);
  }

  async run(): Promise<this> {
    await this.start();
    for (const step of this.script.steps) {
      if (this.failedAt !== undefined && (step === 'restart' || step === 'kill')) break; // a process whose log failed is at its end
      await this.take(step);
    }
    await this.fixture?.log.close();
    this.ledger.violations.push(...this.witness.violations);
    return this;
  }

  private async take(step: LogStep): Promise<void> {
    if (step === 'restart' || step === 'kill') {
      if (step === 'restart') await this.fixture?.log.close();
      else this.disk.kill();
      await this.start();
      return;
    }
    const { fixture } = this;
    if (fixture === undefined) return; // it could not be opened
    if (step === 'apply') await this.apply(fixture);
    else if (step === 'age') await fixture.clock.run(15_000);
    else if (step === 'contend') await this.contend();
    else if ('append' in step) await this.append(fixture, step.append);
    else {
      this.disk.isSlow = true;
      await Promise.all([this.append(fixture, step.read), this.read(fixture)]);
      this.disk.isSlow = false;
    }
    if (fixture.log.refusal('bulk') instanceof EventLogFullError) await fixture.clock.run(1000);
  }

  private async start(): Promise<void> {
    const round = ++this.rounds;
    const fixture = logFixture(LOG_PATH, this.script.options, this.disk, new FakeClock(), round);
    fixture.log.onHalted((error) => {
      // What is left of a process that was killed misses its lock, and is none.
      if (round === this.rounds && error.state === 'failed' && !this.disk.isDown) this.failedAt ??= this.disk.operations.length;
    });
    this.fixture = await fixture.open().then(
      () => fixture,
      (error: unknown) => void this.openErrors.push(error),
    );
  }

  /** Appends some groups at once and writes down what became of them. */
  private async append(fixture: LogFixture, sizes: readonly number[]): Promise<void> {
    const { disk, ledger } = this;
    const waits = sizes.map(async (size) => {
      const payloads = Array.from({ length: size }, () => ledger.next++);
      const appended = group(...payloads.map((payload) => draft({ taskSeq: payload, body: `{"payload":${payload}}` })));
      try {
        fixture.log.append(appended);
      } catch (error) {
        if (!(error instanceof EventLogError) || error.outcome !== 'none') throw error;
        if (!disk.isDown) for (const payload of payloads) ledger.refused.add(payload);
        return;
      }
      const outcome = await appended.settled;
      if (disk.isDown) return;
      payloads.forEach((payload, i) => {
        if ('firstSeq' in outcome) ledger.acknowledged.set(payload, outcome.firstSeq + i);
        else if (outcome.error.outcome === 'none') ledger.refused.add(payload);
        else ledger.unknown.add(payload);
      });
    });
    await Promise.all(waits);
  }

  /** Looks at the log between the write and the sync of a frame, too, as a subscriber does and as the process that feeds the database does. */
  private async read(fixture: LogFixture): Promise<void> {
    const tail = new SegmentTail(this.disk, LOG_PATH);
    const { log } = fixture;
    const from = Math.max(1, log.durableSeq - 1);
    for (let look = 0; look < 3; look++) {
      await new Promise((resolve) => setImmediate(resolve));
      try {
        for await (const frame of log.scan(from)) this.show(frame.entries, log.durableSeq);
        for (const frame of await tail.frames(from, log.watermark(), { maxEntries: 1000 })) this.show(frame.entries, log.durableSeq);
      } catch (error) {
        if (!this.disk.isDown && !this.disk.hasFired) throw error;
      }
    }
    await tail.close().catch(() => undefined); // a read that failed says nothing about what was read
  }

  private show(entries: readonly { readonly seq: number; readonly data: object }[], durableSeq: number): void {
    if (this.disk.isDown) return;
    for (const { seq, data } of entries) {
      this.ledger.shown.set((data as { payload: number }).payload, seq);
      if (seq > durableSeq) this.ledger.violations.push(`a reader was shown entry ${seq}; entry ${durableSeq} is the last durable one`);
    }
  }

  /** The log is told of more than the database has when it is asked once more: what it has then counts. */
  private async apply({ log }: LogFixture): Promise<void> {
    const { disk, ledger, witness } = this;
    if (log.durableSeq < 4) return;
    try {
      const mark = await log.frameCrc(log.durableSeq - 2);
      if (mark === undefined || disk.isDown || mark.lastSeq < ledger.applied) return;
      ledger.applied = witness.appliedSeq = mark.lastSeq;
      ledger.appliedCrc = mark.crc;
      log.applied(log.durableSeq);
      await log.retain(async () => mark.lastSeq);
    } catch (error) {
      if (!TaskSystemError.is(error) || (!disk.isDown && !disk.hasFired)) throw error;
    }
  }

  /** Two processes never have one log, and the one that does not get it changes nothing. */
  private async contend(): Promise<void> {
    const { disk, ledger } = this;
    const before = disk.operations.length;
    const other = logFixture(LOG_PATH, this.script.options, disk, new FakeClock(), 77);
    const refusal = await other.open().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (disk.isDown) return;
    if (refusal === undefined) ledger.violations.push('a second process opened the log');
    if (!EventLogLockedError.is(refusal) && !disk.hasFired) throw refusal;
    if (disk.operations.slice(before).some(({ isChange }) => isChange)) ledger.violations.push('a second process changed the log');
  }
}
