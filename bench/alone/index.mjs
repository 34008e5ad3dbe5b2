import * as cost from './cost.mjs';
import * as fairness from './fairness.mjs';
import * as fanOut from './fan-out.mjs';
import * as largeMemory from './large-memory.mjs';
import * as startUps from './start-ups.mjs';
import * as streams from './streams.mjs';
import * as sustained from './sustained.mjs';

/** Workloads that only ours runs, each with its own repetitions. */
export const ALONE = [
  { id: 'W2b', measure: sustained.measure },
  { id: 'W5b', measure: largeMemory.measure },
  { id: 'W6', measure: startUps.measure },
  { id: 'W7', measure: fanOut.measure },
  { id: 'W8', measure: cost.measure },
  { id: 'W9', measure: fairness.measure },
  { id: 'W10', measure: streams.measure },
];
