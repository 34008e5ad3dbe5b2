import { IsIn } from 'class-validator';
import type { TaskflowHooks } from '../contracts/telemetry.interface.js';
import { ClusterOptions } from './cluster.options.js';
import { EventLogOptions } from './event-log.options.js';
import { ExecutorOptions } from './executor.options.js';
import { FlushOptions } from './flush.options.js';
import { GuardOptions } from './guard.options.js';
import { LimitsOptions } from './limits.options.js';
import { RecoveryOptions } from './recovery.options.js';
import { RepositoryOptions } from './repository.options.js';
import { RetentionOptions } from './retention.options.js';
import { ShutdownOptions } from './shutdown.options.js';
import { StreamOptions } from './stream.options.js';

/** The options as the engine reads them: every member set, checked, frozen. Made by `resolveOptions` only. */
export class TaskflowOptions {
  /**
   * What facts are kept in. `local`: one process, and a log file on a disk that stays. `cluster`: any number of processes without a
   * disk, and the Postgres named by `repository`.
   */
  @IsIn(['local', 'cluster']) readonly engine: 'local' | 'cluster' = 'local';
  /** Where rows are kept. */
  readonly repository: RepositoryOptions = new RepositoryOptions();
  /** The segments on disk. */
  readonly eventLog: EventLogOptions = new EventLogOptions();
  /** How entries of the log become rows. */
  readonly flush: FlushOptions = new FlushOptions();
  /** Limits: what is let in, what runs at once, what dead letters are kept. */
  readonly guard: GuardOptions = new GuardOptions();
  /** Events to subscribers and browsers. */
  readonly stream: StreamOptions = new StreamOptions();
  /** Runs of handlers: heartbeats, timeouts, retries. */
  readonly executor: ExecutorOptions = new ExecutorOptions();
  /** What happens to tasks whose process died. */
  readonly recovery: RecoveryOptions = new RecoveryOptions();
  /** Nodes that share a database; read with `engine: 'cluster'` only. */
  readonly cluster: ClusterOptions = new ClusterOptions();
  /** How long an orderly end may take. */
  readonly shutdown: ShutdownOptions = new ShutdownOptions();
  /** Sizes that are refused. */
  readonly limits: LimitsOptions = new LimitsOptions();
  /** How long ended tasks are kept. */
  readonly retention: RetentionOptions = new RetentionOptions();
  /** Metrics, traces and logger: `createHooks({ tracer, meter, logger })`. Passes by reference. */
  readonly hooks: TaskflowHooks | undefined = undefined;
}
