// A cluster whose workers all want the same log at the same moment, round after round. Says who got it, and what the others were told.
import cluster from 'node:cluster';
import { writeSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import { createTaskSystem } from 'nestjs-taskflow';

const WORKERS = 4;
/** Every so many rounds the winner is killed instead of shut down, and its socket is left behind. */
const KILLED_EVERY = 5;

const silent = { log() {}, error() {}, warn() {}, debug() {}, verbose() {} };
const [folder, rounds] = process.argv.slice(2);

async function work() {
  Logger.overrideLogger(false);
  let system;
  const steps = {
    prepare: async () => {
      system = await createTaskSystem({
        eventLog: { eventLogPath: `${folder}/events.log`, lockTimeoutMs: 600, minFreeBytes: 0 },
        repository: { type: 'sqlite', database: `${folder}/tasks.db` },
        flush: { worker: 'inline' },
        hooks: { logger: silent },
      });
      system.defineTask('double', { handler: async ({ n }) => n * 2 });
    },
    start: () => system.initialize(),
    prove: async ({ n }) => system.result(await system.submit('double', { input: { n } })),
    stop: () => system.shutdown(),
  };
  process.on('message', ({ step, ...args }) => {
    steps[step](args).then(
      (value) => process.send({ pid: process.pid, value: value ?? null }),
      (error) => process.send({ pid: process.pid, error: { name: error.name, message: error.message } }),
    );
  });
  process.send({ pid: process.pid, value: 'up' });
}

const answer = (worker) => new Promise((resolve) => worker.once('message', resolve));
const ask = (worker, step, args = {}) => {
  const heard = answer(worker);
  worker.send({ step, ...args });
  return heard;
};
const askAll = (workers, step) => Promise.all(workers.map((worker) => ask(worker, step)));
async function fork() {
  const worker = cluster.fork();
  await answer(worker);
  return worker;
}

let isOver = false;
const toBeKilled = new Set();
function kill(worker) {
  toBeKilled.add(worker);
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.process.kill('SIGKILL');
  return gone;
}
// A worker that ends by itself would leave the others waiting.
cluster.on('exit', (worker) => {
  if (!isOver && !toBeKilled.has(worker)) process.exit(1);
});

async function lead() {
  const workers = await Promise.all(Array.from({ length: WORKERS }, fork));
  for (let round = 1; round <= Number(rounds); round++) {
    await askAll(workers, 'prepare');
    const answers = await askAll(workers, 'start');
    const winners = workers.filter((_, at) => answers[at].error === undefined);
    const proofs = await Promise.all(winners.map((worker) => ask(worker, 'prove', { n: round })));
    writeSync(1, `${JSON.stringify({ round, answers, proofs })}\n`);
    const killed = round % KILLED_EVERY === 0 ? winners : [];
    await Promise.all(killed.map(kill));
    await askAll(
      workers.filter((worker) => !killed.includes(worker)),
      'stop',
    );
    for (const worker of killed) workers[workers.indexOf(worker)] = await fork();
  }
  isOver = true;
  for (const worker of workers) worker.kill();
}

await (cluster.isPrimary ? lead() : work());
