const ours = (workload, figure, variant) => ({ workload, system: 'taskflow', figure, variant });
const of = (system, workload, figure, variant) => ({ workload, system, figure, variant });
const ceiling = (figure) => of('ceiling', 'C1', figure);

/**
 * What is promised, as ratios of figures of the same round where something else is the measure. `inReadme`: the short list.
 * Change a bound here only together with the documents that state it.
 */
export const TARGETS = [
  {
    what: 'W1 submits, 256 in flight / group commit',
    value: ours('W1', 'perSecond'),
    per: ceiling('perSecond'),
    atLeast: 0.3,
  },
  {
    what: 'W1 submits / BullMQ, AOF always',
    value: ours('W1', 'perSecond'),
    per: of('bullmq-aof', 'W1', 'perSecond'),
    atLeast: 3,
    inReadme: true,
  },
  { what: 'W1 acknowledgement, p99', value: ours('W1', 'p99Ms'), unit: 'ms', atMost: 10 },
  {
    what: 'W2 tasks to recorded completion / BullMQ, AOF always',
    value: ours('W2', 'perSecond'),
    per: of('bullmq-aof', 'W2', 'perSecond'),
    atLeast: 3,
    inReadme: true,
  },
  { what: 'W2 tasks / pg-boss', value: ours('W2', 'perSecond'), per: of('pg-boss', 'W2', 'perSecond'), atLeast: 10 },
  {
    what: 'W2 tasks / p-queue, in memory',
    value: ours('W2', 'perSecond'),
    per: of('p-queue', 'W2', 'perSecond'),
    atLeast: 0.25,
  },
  { what: 'W2 event-loop delay, p99', value: ours('W2', 'delayP99Ms'), unit: 'ms', atMost: 20 },
  {
    what: 'W2b tasks, every row flushed / bare insert loop',
    value: ours('W2b', 'perSecond'),
    per: of('bare-insert', 'W2b', 'perSecond'),
    isPaired: false,
    atLeast: 0.5,
  },
  {
    what: 'W3 one at a time, p50 / one write + fdatasync, p50',
    value: ours('W3', 'p50Ms'),
    per: ceiling('singleP50Ms'),
    atMost: 3,
  },
  { what: 'W3 one at a time, p99 / one write + fdatasync, p99', value: ours('W3', 'p99Ms'), per: ceiling('singleP99Ms'), atMost: 8 },
  {
    what: 'W4 events, awaited one by one / one-caller write + fdatasync',
    value: ours('W4', 'awaitedPerSecond'),
    per: ceiling('singlePerSecond'),
    atLeast: 0.7,
  },
  { what: 'W4 events, awaited at every 500th', value: ours('W4', 'perSecond'), unit: '/s', atLeast: 60_000, inReadme: true },
  { what: 'W4 events / BullMQ not awaited (no AOF)', value: ours('W4', 'perSecond'), per: of('bullmq', 'W4', 'perSecond'), atLeast: 2 },
  { what: 'W4 events lost or refused, with a slow reader too', value: ours('W4', 'lost'), unit: '', atMost: 0 },
  { what: 'W5 heap + external per task, 100,000 queued', value: ours('W5', 'heapBytes'), unit: 'bytes', atMost: 300 },
  { what: 'W5 heap + external per task, 1,000,000 queued', value: ours('W5b', 'heapBytes', 'queued-1000000'), unit: 'bytes', atMost: 300 },
  { what: 'W5 resident per task, 1,000,000 queued', value: ours('W5b', 'residentBytes', 'queued-1000000'), unit: 'bytes', atMost: 400 },
  {
    what: 'W6 first submit after a crash, 100,000 entries unflushed',
    value: ours('W6', 'fromSpawnMs', 'unflushed-100000'),
    unit: 'ms',
    atMost: 2_000,
    inReadme: true,
  },
  { what: 'W6 first submit, 1,000,000 tasks of history', value: ours('W6', 'fromSpawnMs', 'history-1000000'), unit: 'ms', atMost: 2_000 },
  {
    what: 'W7 events to 1,000 SSE clients / bare node:http',
    value: of('taskflow', 'W7', 'perSecond', 'sse-1000'),
    per: of('plain-http', 'W7', 'perSecond', 'sse-1000'),
    atLeast: 0.7,
  },
  { what: 'W8 W1 with 1,000,000 finished / empty', value: ours('W8', 'submitRatio', 'history-1000000'), unit: 'x', atLeast: 0.85 },
  {
    what: 'W8 W2 with 1,000,000 finished / empty',
    value: ours('W8', 'endToEndRatio', 'history-1000000'),
    unit: 'x',
    atLeast: 0.85,
  },
  { what: 'W8 W1 with 1,000,000 queued / empty', value: ours('W8', 'submitRatio', 'backlog-1000000'), unit: 'x', atLeast: 0.85 },
  {
    what: 'W8 W2 with 1,000,000 queued / empty',
    value: ours('W8', 'endToEndRatio', 'backlog-1000000'),
    unit: 'x',
    atLeast: 0.85,
  },
  { what: 'W9 small users’ p99 wait / first-in-first-out', value: ours('W9', 'share'), unit: 'x', atMost: 0.05 },
  {
    what: 'W10 resident per idle stream, express',
    value: ours('W10', 'residentPerStream', 'idle-express'),
    unit: 'bytes',
    atMost: 12 * 1024,
  },
  { what: 'W10 close with 1,000 streams, express', value: ours('W10', 'closeMs', 'idle-express'), unit: 'ms', atMost: 1_000 },
  {
    what: 'W10 resident per client that does not read, express',
    value: ours('W10', 'residentPerClient', 'stalled-express'),
    unit: 'bytes',
    atMost: 2 * 1024 * 1024,
  },
  { what: 'W10 replay of 10,000 stored events, express', value: ours('W10', 'replayMs', 'replay-express'), unit: 'ms', atMost: 1_000 },
  {
    what: 'W10 resident per idle stream, fastify',
    value: ours('W10', 'residentPerStream', 'idle-fastify'),
    unit: 'bytes',
    atMost: 12 * 1024,
  },
  { what: 'W10 close with 1,000 streams, fastify', value: ours('W10', 'closeMs', 'idle-fastify'), unit: 'ms', atMost: 1_000 },
  {
    what: 'W10 resident per client that does not read, fastify',
    value: ours('W10', 'residentPerClient', 'stalled-fastify'),
    unit: 'bytes',
    atMost: 2 * 1024 * 1024,
  },
  { what: 'W10 replay of 10,000 stored events, fastify', value: ours('W10', 'replayMs', 'replay-fastify'), unit: 'ms', atMost: 1_000 },
];
