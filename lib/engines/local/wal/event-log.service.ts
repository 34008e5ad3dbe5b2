import type { TaskflowOptions } from '../../../config/taskflow.options.js';
import type { Clock, IdSource } from '../../../contracts/clock.interface.js';
import type {
  EntryAddress,
  EventLogPort,
  EventLogState,
  FrameMark,
  FrameSink,
  LogGroup,
  OpenedLog,
  ScannedFrame,
  Watermark,
} from '../../../contracts/event-log.interface.js';
import type { LogEntry } from '../../../contracts/log-entry.interface.js';
import type { LogFileSystem } from '../../../contracts/log-file-system.interface.js';
import { EventLogError } from '../../../errors/storage.errors.js';
import { openError, readError } from './log-failure.js';
import { type LockWaitNotice, LogListeners } from './log-listeners.js';
import type { WhileHeld } from './log-tenure.js';
import { openLog, type RunningLog } from './running-log.js';

/** The write-ahead log: the only place where a fact is made. */
export class EventLogService implements EventLogPort {
  private readonly listeners = new LogListeners();
  private log: RunningLog | undefined;
  private opening: Promise<OpenedLog> | undefined;
  private closing: Promise<void> | undefined;
  private isGivenUp = false;

  constructor(
    private readonly options: TaskflowOptions,
    private readonly clock: Clock,
    private readonly ids: IdSource,
    private readonly fs: LogFileSystem,
  ) {}

  get state(): EventLogState {
    return this.log?.committer.state ?? 'closed';
  }
  get durableSeq(): number {
    return this.log?.segment.lastSeq ?? 0;
  }
  /** Id of this log, made with the folder's first segment. */
  get logId(): string {
    return this.running.recovered.logId;
  }
  /** Grows with every open. */
  get gen(): number {
    return this.running.recovered.gen;
  }
  /** This incarnation of the process, as entries name it: unique in the log. */
  get owner(): string {
    return this.running.owner;
  }
  get directory(): string {
    return this.running.folder.directory;
  }
  /** Bytes that the database does not have, at most 16 KiB too many. */
  get unflushedBytes(): number {
    return this.log?.catalog.unflushedBytes ?? 0;
  }
  /** Files on disk. */
  get segments(): number {
    return this.log?.catalog.all.length ?? 0;
  }
  /** What the last open set aside: bytes of a torn last frame, and the file that has them. */
  get torn(): { readonly bytes: number; readonly copy: string | null } {
    const { tornBytes, tornCopy } = this.running.recovered;
    return { bytes: tornBytes, copy: tornCopy };
  }

  /** Once per instance. */
  open<G extends LogGroup>(sink: FrameSink<G>): Promise<OpenedLog> {
    if (this.closing !== undefined) return Promise.reject(notOpen());
    this.opening ??= this.start(sink as unknown as FrameSink);
    return this.opening;
  }

  append(group: LogGroup): void {
    if (this.log === undefined) throw notOpen();
    this.log.committer.append(group);
  }

  refusal(kind: 'bulk' | 'lifecycle'): EventLogError | undefined {
    return this.log === undefined ? notOpen() : this.log.committer.refusal(kind);
  }

  withdraw<G extends LogGroup>(match: (group: G) => boolean): G[] {
    return (this.log?.committer.withdraw(match as (group: LogGroup) => boolean) ?? []) as G[];
  }

  whenAccepting(kind: 'bulk' | 'lifecycle', callback: () => void): void {
    this.listeners.waitFor(kind, callback);
    this.acceptanceChanged();
  }

  async read(address: EntryAddress): Promise<LogEntry | null> {
    return this.running.reader.read(address).catch(readError);
  }

  async readMany(addresses: readonly EntryAddress[]): Promise<(LogEntry | null)[]> {
    return this.running.reader.readMany(addresses).catch(readError);
  }

  async *scan(fromSeq: number): AsyncGenerator<ScannedFrame> {
    const { reader } = this.running;
    try {
      yield* reader.scan(fromSeq, this.watermark());
    } catch (error) {
      readError(error);
    }
  }

  async frameCrc(seq: number): Promise<FrameMark | undefined> {
    return this.running.reader.frameCrc(seq, this.watermark()).catch(readError);
  }

  applied(seq: number): void {
    const { catalog, space } = this.running;
    catalog.apply(Math.min(seq, this.durableSeq));
    space.recount();
    this.acceptanceChanged();
  }

  /** Does nothing once the log failed or closed. @throws EventLogError when a file could not be deleted, and whatever `confirm` throws. */
  async retain(confirm: () => Promise<number>): Promise<void> {
    await this.running.retention.run(confirm, () => this.state === 'open' || this.state === 'full');
  }

  watermark(): Watermark {
    const { first, sizeBytes, lastSeq } = this.running.segment;
    return { segment: first, byteOffset: sizeBytes, seq: lastSeq };
  }

  onDurable(listener: (watermark: Watermark) => void): void {
    this.listeners.durable.push(listener);
  }
  /** Called with the duration of each sync that returned, in ms. */
  onSync(listener: (elapsedMs: number) => void): void {
    this.listeners.synced.push(listener);
  }
  /** Called once, when nothing more will ever be committed; `error.state` says whether the log failed or was closed. */
  onHalted(listener: (error: EventLogError) => void): void {
    this.listeners.halted.push(listener);
  }

  /** Called once, when the opening has waited for another process for a second. */
  onLockWait(listener: (wait: LockWaitNotice) => void): void {
    this.listeners.lockWait.push(listener);
  }

  /** Work on files of the folder that only the holder of the log may do; `close` waits for it. @throws EventLogError when it is too late. */
  readonly whileHeld: WhileHeld = (work) => (this.log === undefined ? Promise.reject(notOpen()) : this.log.tenure.run(work));

  /** An opening that waits for another process waits no longer. */
  giveUpWaiting(): void {
    this.isGivenUp = true;
  }

  close(): Promise<void> {
    this.closing ??= this.stop();
    return this.closing;
  }

  private async start(sink: FrameSink): Promise<OpenedLog> {
    try {
      this.log = await openLog({ fs: this.fs, clock: this.clock, ids: this.ids, options: this.options.eventLog }, sink, {
        durable: () => this.listeners.notifyDurable(this.watermark()),
        synced: (elapsedMs) => this.listeners.notifySynced(elapsedMs),
        changed: () => this.acceptanceChanged(),
        halted: (error) => this.listeners.notifyHalted(error),
        waiting: (directory, holder, timeoutMs) => this.listeners.notifyLockWait({ directory, holder, timeoutMs }),
        isGivenUp: () => this.isGivenUp,
      });
    } catch (error) {
      throw openError(error);
    }
    const { logId, gen, lastSeq, lastAt, created } = this.log.recovered;
    const oldest = this.log.catalog.all[0]!;
    return { logId, gen, firstSeq: oldest.first, lastSeq, lastAt, created };
  }

  private async stop(): Promise<void> {
    await this.opening?.catch(() => undefined);
    await this.log?.close();
    this.listeners.notifyHalted(new EventLogError('closed', 'none', 'The event log is closed.'));
    this.acceptanceChanged();
  }

  private acceptanceChanged(): void {
    this.listeners.changed((kind) => this.refusal(kind));
    this.log?.space.awaited(this.listeners.areWaiting);
  }

  private get running(): RunningLog {
    if (this.log === undefined) throw notOpen();
    return this.log;
  }
}

const notOpen = (): EventLogError => new EventLogError('closed', 'none', 'The event log is not open.');
