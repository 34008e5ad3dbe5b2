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
  readonly repository: RepositoryOptions = new RepositoryOptions();
  readonly eventLog: EventLogOptions = new EventLogOptions();
  readonly flush: FlushOptions = new FlushOptions();
  readonly guard: GuardOptions = new GuardOptions();
  readonly stream: StreamOptions = new StreamOptions();
  readonly executor: ExecutorOptions = new ExecutorOptions();
  readonly recovery: RecoveryOptions = new RecoveryOptions();
  readonly cluster: ClusterOptions = new ClusterOptions();
  readonly shutdown: ShutdownOptions = new ShutdownOptions();
  readonly limits: LimitsOptions = new LimitsOptions();
  readonly retention: RetentionOptions = new RetentionOptions();
  /** Metrics, traces and logger: `createHooks({ tracer, meter, logger })`. Passes by reference. */
  readonly hooks: TaskflowHooks | undefined = undefined;
}
