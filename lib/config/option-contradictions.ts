import type { FieldIssue } from '../errors/request.errors.js';
import type { RepositoryOptions } from './repository.options.js';
import type { TaskflowOptions } from './taskflow.options.js';

/** Beats that may be missed before a run counts as dead: one lost to a slow disk, one to a pause of the process. */
const HEARTBEATS_PER_STALE = 3;

/** Signs of life that may be missed before a node counts as dead. */
const BEATS_PER_LEASE = 3;
/** Storage that many nodes can share. */
const SHARED_STORAGE: ReadonlySet<string> = new Set(['postgres', 'lakebase']);

/** Options that are right one by one, and wrong together. @param isRight whether the option at that path has no fault of its own. */
export function contradictions(options: TaskflowOptions, repository: RepositoryOptions, isRight: (path: string) => boolean): FieldIssue[] {
  const issues: FieldIssue[] = [];
  const areRight = (...paths: string[]): boolean => paths.every(isRight);
  const { heartbeatIntervalMs } = options.executor;
  const { staleThresholdMs } = options.recovery;
  const beatsAreRight = areRight('recovery.staleThresholdMs', 'executor.heartbeatIntervalMs');
  if (beatsAreRight && staleThresholdMs < HEARTBEATS_PER_STALE * heartbeatIntervalMs) {
    issues.push({
      path: 'recovery.staleThresholdMs',
      message: `must be at least ${HEARTBEATS_PER_STALE} × executor.heartbeatIntervalMs (${HEARTBEATS_PER_STALE * heartbeatIntervalMs}), not ${staleThresholdMs}: a live run would count as dead`,
    });
  }
  const { ttlMs } = options.guard.dlq;
  const { failedTtlMs } = options.retention;
  if (areRight('retention.failedTtlMs', 'guard.dlq.ttlMs') && failedTtlMs < ttlMs) {
    issues.push({
      path: 'retention.failedTtlMs',
      message: `must be at least guard.dlq.ttlMs (${ttlMs}), not ${failedTtlMs}: dead letters would be pruned before they expire`,
    });
  }
  const { leaseTtlMs, beatIntervalMs } = options.cluster;
  if (areRight('cluster.leaseTtlMs', 'cluster.beatIntervalMs') && leaseTtlMs < BEATS_PER_LEASE * beatIntervalMs) {
    issues.push({
      path: 'cluster.leaseTtlMs',
      message: `must be at least ${BEATS_PER_LEASE} × cluster.beatIntervalMs (${BEATS_PER_LEASE * beatIntervalMs}), not ${leaseTtlMs}: a live node would count as dead`,
    });
  }
  if (options.cluster.idleAfterMs !== undefined && areRight('cluster.idleAfterMs'))
    issues.push({ path: 'cluster.idleAfterMs', message: 'is not part of this version: a node asks the database for as long as it runs' });
  if (options.engine === 'cluster' && areRight('repository', 'repository.type') && !SHARED_STORAGE.has(repository.type)) {
    issues.push({
      path: 'engine',
      message: `'cluster' needs repository.type 'postgres' or 'lakebase', not '${repository.type}': nodes share nothing but a database`,
    });
  }
  return issues;
}
