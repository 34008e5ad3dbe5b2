import { inChild } from './child.mjs';
import { format } from './format.mjs';

const CEILING = new URL('../ceilings/group-commit.mjs', import.meta.url).href;
/** Of deprecated calls inside peers. */
const NO_WARNINGS = ['--no-deprecation'];
const workloadModule = (name) => new URL(`../workloads/${name}.mjs`, import.meta.url).href;

/** The workloads that every system runs. `rounds`: at most that many, where a figure hardly differs from round to round or takes long. */
export const SHARED = [
  { id: 'W1', module: workloadModule('submit') },
  { id: 'W2', module: workloadModule('end-to-end') },
  { id: 'W3', module: workloadModule('latency') },
  { id: 'W4', module: workloadModule('events') },
  { id: 'W5', module: workloadModule('memory'), gc: true, rounds: 1 },
];

/**
 * Interleaved rounds: the ceiling, then every workload once on every system. The first round warms up the machine and is not
 * counted. What a figure is compared with was measured in the same round, so that a busy machine slows both; who comes first
 * changes from round to round.
 */
export async function runRounds({ workloads, systems, rounds, quick, say, note }) {
  for (let round = 0; round <= rounds; round++) {
    const label = round === 0 ? 'warm-up' : `round ${round}`;
    const keep = (measurement) => {
      say(`${label}: ${lineOf(measurement)}`);
      if (round > 0) note({ round, ...measurement });
    };
    keep({ system: 'ceiling', workload: 'C1', figures: await inChild(CEILING, { quick }) });
    for (const workload of workloads) {
      if (workload.rounds !== undefined && (round === 0 || round > workload.rounds)) continue;
      for (const system of rotated(systems, round)) {
        const load = system.loads[workload.id];
        if (load === undefined) continue;
        const params = { system: system.module, ...(quick ? quickly(load) : load) };
        try {
          const figures = await inChild(workload.module, params, { gc: workload.gc, execArgv: NO_WARNINGS, env: system.env });
          keep({ system: system.name, workload: workload.id, figures });
        } catch (error) {
          // A peer that fails is told of; ours must not.
          if (system.name === 'taskflow') throw error;
          keep({ system: system.name, workload: workload.id, failure: error.message.split('\n')[0] });
        }
      }
    }
  }
}

const rotated = (systems, round) => systems.map((_, at) => systems[(at + round) % systems.length]);

const quickly = (load) => Object.fromEntries(Object.entries(load).map(([key, value]) => [key, Math.ceil(value / 4)]));

export const lineOf = ({ system, workload, variant, figures, failure }) =>
  `${workload} ${variant === undefined ? '' : `${variant} `}${system}: ${failure === undefined ? figuresText(figures) : `failed: ${failure}`}`;

const figuresText = (figures) =>
  Object.entries(figures)
    .map(([key, value]) => `${key} ${format(value)}`)
    .join(', ');
