import type { CounterName, GaugeName, HistogramName } from '../contracts/telemetry.interface.js';

interface Instrument {
  readonly unit: string;
  readonly description: string;
}

export const COUNTERS: Readonly<Record<CounterName, Instrument>> = {
  'taskflow.tasks.submitted': { unit: '{task}', description: 'Tasks whose creation is durable.' },
  'taskflow.tasks.completed': { unit: '{task}', description: 'Tasks that ended well.' },
  'taskflow.tasks.failed': { unit: '{task}', description: 'Tasks that ended with an error, no attempt left.' },
  'taskflow.tasks.cancelled': { unit: '{task}', description: 'Tasks that were cancelled.' },
  'taskflow.tasks.retried': { unit: '{task}', description: 'Retries: after a failed attempt, at shutdown, by hand.' },
  'taskflow.tasks.recovered': { unit: '{task}', description: 'Runs found dead and queued again.' },
  'taskflow.guard.rejections': { unit: '{task}', description: 'Submits, and reports of a run, refused by a limit.' },
  'taskflow.flush.entries': { unit: '{entry}', description: 'Log entries written to the database.' },
};
export const GAUGES: Readonly<Record<GaugeName, Instrument>> = {
  'taskflow.tasks.running': { unit: '{task}', description: 'Tasks that run now.' },
  'taskflow.tasks.queued': { unit: '{task}', description: 'Tasks that wait now.' },
  'taskflow.dlq.size': { unit: '{task}', description: 'Dead letters.' },
  'taskflow.streams.active': { unit: '{stream}', description: 'Tasks with subscribers.' },
  'taskflow.eventlog.unflushed_bytes': { unit: 'By', description: 'Log that is not in the database yet.' },
  'taskflow.flush.lag_ms': { unit: 'ms', description: 'Age of the oldest entry that is not in the database yet.' },
};
export const HISTOGRAMS: Readonly<Record<HistogramName, Instrument>> = {
  'taskflow.task.duration_ms': { unit: 'ms', description: 'From the start of a run to its end.' },
  'taskflow.task.queue_wait_ms': { unit: 'ms', description: 'From due to started.' },
  'taskflow.eventlog.sync_ms': { unit: 'ms', description: 'One disk sync of the log.' },
};
