import { INPUT } from '../core/settings.mjs';
import { countDisk } from './counted-disk.mjs';
import { allocatedBy, createdBy } from './counters.mjs';

const WAVE = 256;
const SUBMIT_WAVES = 16;
const RUN_WAVE = 50;
const RUN_WAVES = 40;
const EVENTS = 5_000;
const AWAIT_EVERY = 500;

/** @param kind submit, run or progress: what is counted, per submit, task or event. */
export async function run({ kind }) {
  countDisk();
  const { openSystem, flushed } = await import('../systems/taskflow.mjs');
  const { handlers, options, work, units } = KINDS[kind];
  const { system, close } = await openSystem(handlers, options);
  await work(system);
  await flushed(system);
  // When the flush comes by is a matter of time: it is stopped while others are counted.
  const { workerPid } = system.getStats().flush;
  process.kill(workerPid, 'SIGSTOP');
  try {
    await work(system);
    const bytes = await allocatedBy(() => work(system));
    const { logBytes, writes, syncs, ...created } = await createdBy(() => work(system));
    const { units: count, waves } = units;
    return {
      allocatedBytes: bytes / count,
      promises: created.promises / count,
      timers: created.timers / count,
      logBytes: logBytes / count,
      writesPerWave: writes / waves,
      syncsPerWave: syncs / waves,
    };
  } finally {
    process.kill(workerPid, 'SIGCONT');
    await close();
  }
}

const wave = (size, work) => Promise.all(Array.from({ length: size }, work));

const KINDS = {
  submit: {
    handlers: { noop: async () => undefined },
    options: { executor: { enabled: false } },
    units: { units: WAVE * SUBMIT_WAVES, waves: SUBMIT_WAVES },
    work: async (system) => {
      for (let i = 0; i < SUBMIT_WAVES; i++) await wave(WAVE, () => system.submit('noop', { input: INPUT }));
    },
  },
  run: {
    handlers: { noop: async () => undefined },
    options: {},
    units: { units: RUN_WAVE * RUN_WAVES, waves: RUN_WAVES },
    work: async (system) => {
      for (let i = 0; i < RUN_WAVES; i++) await wave(RUN_WAVE, async () => system.result(await system.submit('noop', { input: INPUT })));
    },
  },
  progress: {
    handlers: {
      report: async (_input, ctx) => {
        for (let number = 1; number <= EVENTS; number++) {
          const written = ctx.progress({ done: number, of: EVENTS });
          if (number % AWAIT_EVERY === 0) await written;
        }
      },
    },
    options: {},
    units: { units: EVENTS, waves: EVENTS / AWAIT_EVERY },
    work: async (system) => {
      const task = await system.submit('report', { input: null });
      let count = 0;
      await system.subscribe(task).forEach(({ seq }) => void (seq !== undefined && count++));
      if (count !== EVENTS + 3) throw new Error(`${count} events came, not ${EVENTS + 3}.`);
    },
  },
};
