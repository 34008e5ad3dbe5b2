import type { Degradation, DegradationName } from '../contracts/degradation.interface.js';

const degradation = (
  name: DegradationName,
  { message, remedy, refusesTasks = false, needsRestart = false }: Partial<Degradation> & Pick<Degradation, 'message' | 'remedy'>,
): Degradation => Object.freeze({ name, message, remedy, refusesTasks, needsRestart });

/** Every reason for `degraded`, in the one place that health, statistics and docs read. */
export const DEGRADATIONS: Readonly<Record<DegradationName, Degradation>> = {
  'log-full': degradation('log-full', {
    message: 'The event log takes no new entries: too little disk space is left, or too much of it is not in the database yet.',
    remedy:
      'Free disk space (eventLog.minFreeBytes), or mend the database so that the flush catches up (eventLog.maxUnflushedBytes). It goes on by itself.',
    refusesTasks: true,
  }),
  'log-failed': degradation('log-failed', {
    message: 'The event log failed: a write or sync was refused by the disk, or the lock was taken away.',
    remedy: 'Start the process again, on a sound disk. Nothing acknowledged is lost.',
    refusesTasks: true,
    needsRestart: true,
  }),
  'log-closed': degradation('log-closed', {
    message: 'The event log is closed.',
    remedy: 'Start the process again.',
    refusesTasks: true,
    needsRestart: true,
  }),
  'flush-halted': degradation('flush-halted', {
    message: 'Rows are written no more: the database does not belong to this log, or another process has taken over.',
    remedy: 'The error line in the log has both positions and the command that mends it. Nothing is deleted meanwhile.',
    refusesTasks: true,
  }),
  'flush-worker-dies': degradation('flush-worker-dies', {
    message: 'The process that writes rows dies again and again; it is replaced each time.',
    remedy:
      'The warning in the log has its last words. Memory limits and what NODE_OPTIONS preload are the usual causes. Tasks wait in the log.',
  }),
  'database-refuses': degradation('database-refuses', {
    message: 'The database refuses rows, or does not answer the flush.',
    remedy: 'Mend the database; the flush goes on by itself. Tasks without a key are accepted and run meanwhile.',
  }),
  'database-silent': degradation('database-silent', {
    message: 'The database neither answers nor refuses reads.',
    remedy:
      'Look at the network and the load of the database. Keys, lists and finished tasks are refused with a retryable error meanwhile.',
  }),
  'database-not-read': degradation('database-not-read', {
    message: 'What only the database knows of unfinished tasks was not read yet.',
    remedy: 'Shortly after a start: wait. If it stays, the database does not answer.',
  }),
  'database-away': degradation('database-away', {
    message: 'The database of the cluster does not answer: nothing is accepted, and no run can report.',
    remedy: 'Mend the database, or the way to it; the node goes on by itself. What was acknowledged is there.',
    refusesTasks: true,
  }),
  'lease-lost': degradation('lease-lost', {
    message: 'This node could not prove in time that it lives. It gave up its runs, which go on elsewhere, and runs nothing.',
    remedy: 'The node comes back by itself when the database answers. If it happens often, raise cluster.leaseTtlMs.',
  }),
};
