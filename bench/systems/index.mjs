const at = (name) => new URL(`./${name}.mjs`, import.meta.url).href;

/** Loads by what a system can take: at least a second or so of work each, so that a round of all stays below a minute and a half. */
const MEMORY = {
  W1: { tasks: 200_000, warmUp: 20_000 },
  W2: { tasks: 100_000, warmUp: 20_000 },
  W3: { tasks: 20_000, warmUp: 5_000, halfLoadMs: 0 },
  W5: { tasks: 100_000 },
};
const REDIS = {
  W1: { tasks: 20_000, warmUp: 2_000 },
  W2: { tasks: 10_000, warmUp: 2_000 },
  W3: { tasks: 1_000, warmUp: 2_000, halfLoadMs: 2_000 },
  W4: { events: 10_000, awaited: 2_000, warmUp: 1_000 },
  W5: { tasks: 100_000 },
};
const DATABASE = {
  W1: { tasks: 3_000, warmUp: 500 },
  W2: { tasks: 3_000, warmUp: 500 },
  W3: { tasks: 300, warmUp: 500, halfLoadMs: 2_000 },
  W5: { tasks: 100_000 },
};

/** Every system that runs the shared workloads: its module, what it needs, and its loads by workload; none: not offered. */
export const SYSTEMS = [
  {
    name: 'taskflow',
    module: at('taskflow'),
    loads: {
      W1: { tasks: 60_000, warmUp: 20_000 },
      W2: { tasks: 30_000, warmUp: 10_000 },
      W3: { tasks: 3_000, warmUp: 10_000, halfLoadMs: 3_000 },
      W4: { events: 40_000, awaited: 5_000, warmUp: 10_000 },
      W5: { tasks: 100_000 },
    },
  },
  { name: 'p-queue', package: 'p-queue', module: at('p-queue'), loads: MEMORY },
  { name: 'bullmq', package: 'bullmq', module: at('bullmq'), needs: 'redis', loads: REDIS },
  { name: 'bullmq-aof', package: 'bullmq', module: at('bullmq'), needs: 'redis-aof', loads: REDIS },
  // Its polls of half a second are too few to keep up with half load, one result at a time.
  {
    name: 'pg-boss',
    package: 'pg-boss',
    module: at('pg-boss'),
    needs: 'postgres',
    loads: { ...DATABASE, W3: { ...DATABASE.W3, halfLoadMs: 0 } },
  },
  { name: 'graphile-worker', package: 'graphile-worker', module: at('graphile-worker'), needs: 'postgres', loads: DATABASE },
  {
    name: 'dbos',
    package: '@dbos-inc/dbos-sdk',
    module: at('dbos'),
    needs: 'postgres',
    loads: { ...DATABASE, W4: { awaited: 1_000, warmUp: 200 }, W5: { tasks: 10_000 } },
  },
];
