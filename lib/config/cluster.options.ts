import { IsBoolean, IsOptional } from 'class-validator';
import { IsCount, IsIntegerWithin, IsTimerMs } from './bounded.decorators.js';

/** A lease longer than this would leave the tasks of a dead node alone for longer than anybody waits. */
const MAX_LEASE_MS = 3_600_000;

/** `cluster`: nodes that share a database; read with `engine: 'cluster'` only. */
export class ClusterOptions {
  /**
   * Without a sign of life for this long a node counts as dead: others run its tasks, and it has given them up itself. At least
   * 3 × `cluster.beatIntervalMs`. Unit: ms. Default 10 s.
   */
  @IsIntegerWithin(300, MAX_LEASE_MS) readonly leaseTtlMs: number = 10_000;
  /** Pause between two signs of life of this node. Unit: ms. Default 3 s. */
  @IsIntegerWithin(100, MAX_LEASE_MS) readonly beatIntervalMs: number = 3_000;
  /**
   * Whether one connection listens for hints of other nodes. Off: they are found by polling alone, as behind a pooler in transaction mode,
   * which passes no hints on. Default true.
   */
  @IsBoolean() readonly listen: boolean = true;
  /** Longest pause between two looks for work while none is found. Unit: ms. Default 1 s. */
  @IsIntegerWithin(10, 600_000) readonly pollIntervalMs: number = 1_000;
  /** Tasks that run on this node at once, whatever the limits of the cluster leave. Default 50. */
  @IsCount(1) readonly maxExecutionPerNode: number = 50;
  /**
   * Kept for a later version, and refused in this one: after so long without a task on its way a node will let a database that scales to
   * zero sleep. Unit: ms.
   */
  @IsOptional() @IsTimerMs(1_000) readonly idleAfterMs: number | undefined = undefined;
}
