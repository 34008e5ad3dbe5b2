import { format } from '../core/format.mjs';
import { median } from '../core/statistics.mjs';
import { ratios, spreadText, valuesByRound } from './figures.mjs';
import { table } from './markdown.mjs';

/** The columns of each shared workload: figure, heading, and what one round's figure is set against. */
const SHARED = [
  {
    id: 'W1',
    title: 'W1: submit, 256 in flight',
    columns: [
      ['perSecond', 'submits/s'],
      ['cpuMicros', 'CPU of the process, µs per task'],
      ['p50Ms', 'ack p50, ms'],
      ['p99Ms', 'ack p99, ms'],
    ],
    ceiling: 'perSecond',
  },
  {
    id: 'W2',
    title: 'W2: submit to recorded completion, 50 runs at a time',
    columns: [
      ['perSecond', 'tasks/s'],
      ['cpuMicros', 'CPU of the process, µs per task'],
      ['delayP99Ms', 'event-loop delay p99, ms'],
    ],
    ceiling: 'perSecond',
  },
  {
    id: 'W3',
    title: 'W3: latency from submit to result, one at a time and at half load',
    columns: [
      ['p50Ms', 'p50, ms'],
      ['p99Ms', 'p99, ms'],
      ['halfLoadPerSecond', 'half load, tasks/s'],
      ['halfLoadP50Ms', 'p50 there, ms'],
      ['halfLoadP99Ms', 'p99 there, ms'],
    ],
  },
  {
    id: 'W4',
    title: 'W4: progress events of one task to a subscriber',
    columns: [
      ['awaitedPerSecond', 'awaited one by one, /s'],
      ['perSecond', 'not awaited one by one, /s'],
      ['iteratedPerSecond', 'to `for await`, /s'],
      ['slowReaderPerSecond', 'to a slow reader, /s'],
    ],
  },
  {
    id: 'W5',
    title: 'W5: memory of queued tasks',
    columns: [
      ['heapBytes', 'heap + external, bytes per task'],
      ['unsettledHeapBytes', 'before the flush, bytes per task'],
      ['residentBytes', 'resident, bytes per task'],
    ],
  },
];

export function sharedSections(report) {
  return SHARED.flatMap(({ id, title, columns, ceiling }) => {
    const systems = [...new Set(report.measurements.filter(({ workload }) => workload === id).map(({ system }) => system))];
    if (systems.length === 0) return [];
    const headings = ['system', ...columns.map(([, heading]) => heading), ...(ceiling ? ['of the ceiling'] : [])];
    const rows = systems.map((system) => {
      const cells = columns.map(([figure]) => cell(report, { workload: id, system, figure }));
      if (ceiling === undefined) return [system, ...cells];
      const share = ratios(report, { workload: id, system, figure: ceiling }, { workload: 'C1', system: 'ceiling', figure: ceiling });
      return [system, ...cells, share.length === 0 ? '' : format(median(share))];
    });
    return [`### ${title}\n\n${table(headings, rows)}`, ...failures(report, id)];
  });
}

function failures(report, id) {
  const failed = report.measurements.filter(({ workload, failure }) => workload === id && failure !== undefined);
  return failed.map(({ system, round, failure }) => `${system} failed in round ${round}: ${failure}`);
}

function cell(report, wanted) {
  const values = [...valuesByRound(report, wanted).values()];
  return values.length === 0 ? '' : spreadText(values);
}

const ALONE = [
  { id: 'C1', title: 'Ceiling: group commit of 300-byte records' },
  { id: 'W2b', title: 'W2b: every row in the database, sustained' },
  { id: 'W5b', title: 'W5: memory, a million queued' },
  { id: 'W6', title: 'W6: from the start of the process until the first submit is accepted' },
  { id: 'W7', title: 'W7: fan-out, deliveries' },
  { id: 'W8', title: 'W8: cost against history and backlog, in pairs with an empty system' },
  { id: 'W9', title: 'W9: one user with 100,000 tasks, 100 users with 10 each' },
  { id: 'W10', title: 'W10: SSE clients that do nothing, do not read, replay, or are there at the end' },
];

const LABELS = {
  perSecond: 'per second',
  rowsPerSecond: 'rows per second',
  maxLagMs: 'largest lag, ms',
  sustainedSeconds: 'held for, s',
  attempts: 'trials',
  flatOutFlushedPerSecond: 'flushed while flat out, per second',
  singlePerSecond: 'one caller, per second',
  singleP50Ms: 'one caller, p50, ms',
  singleP99Ms: 'one caller, p99, ms',
  heapBytes: 'heap + external, bytes per task',
  unsettledHeapBytes: 'before the flush, bytes per task',
  residentBytes: 'resident, bytes per task',
  fromSpawnMs: 'from the start of the process, ms',
  fromCallMs: 'from createTaskSystem, ms',
  bytesPerEvent: 'bytes per event',
  residentPerStream: 'resident, bytes per stream',
  heapPerStream: 'heap + external, bytes per stream',
  closeMs: 'app.close() with 1,000 streams, ms',
  residentPerClient: 'resident, bytes per client',
  heapPerClient: 'heap + external, bytes per client',
  replayMs: 'replay, ms',
  submitRatio: 'W1 / empty',
  endToEndRatio: 'W2 / empty',
  submitCpuRatio: 'CPU of W1 / empty',
  endToEndCpuRatio: 'CPU of W2 / empty',
  submitPerSecond: 'W1, /s',
  endToEndPerSecond: 'W2, /s',
  emptySubmitPerSecond: 'W1 empty, /s',
  emptyEndToEndPerSecond: 'W2 empty, /s',
  readyMs: 'first submit, ms',
  loadedMs: 'backlog loaded, ms',
  p99Ms: 'p99 wait, ms',
  fifoP99Ms: 'first-in-first-out, p99, ms',
  share: 'share',
  maxMs: 'longest wait, ms',
};

/** One table each: a row per variant and system, a column per figure. */
export function aloneSections(report) {
  return ALONE.flatMap(({ id, title }) => {
    const own = report.measurements.filter(({ workload, figures }) => workload === id && figures !== undefined);
    if (own.length === 0) return [];
    const figures = [...new Set(own.flatMap((measurement) => Object.keys(measurement.figures)))];
    const keys = [...new Map(own.map(({ variant, system }) => [`${variant} ${system}`, { variant, system }])).values()];
    const rows = keys.map(({ variant, system }) => [
      variant ?? '',
      system,
      ...figures.map((figure) => cell(report, { workload: id, system, variant, figure })),
    ]);
    return [`### ${title}\n\n${table(['', 'system', ...figures.map((figure) => LABELS[figure] ?? figure)], rows)}`];
  });
}
