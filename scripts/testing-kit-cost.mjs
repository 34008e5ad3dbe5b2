#!/usr/bin/env node
/**
 * What an application with the testing kit costs, beside a bare Nest application in the same rounds: made, initialised, one task run, closed.
 * Needs `npm run build`.
 */
import 'reflect-metadata';
import { Test } from '@nestjs/testing';
import { TaskSystem } from 'nestjs-taskflow';
import { TaskflowTesting, TaskflowTestingModule } from 'nestjs-taskflow/testing';

const ROUNDS = 40;
const LIMIT_MS = 20;

async function bare() {
  const app = await Test.createTestingModule({}).compile();
  await app.init();
  await app.close();
}

async function withKit(runs) {
  const app = await Test.createTestingModule({ imports: [TaskflowTestingModule.forTest()] }).compile();
  await app.init();
  if (runs) {
    const tasks = app.get(TaskSystem);
    tasks.defineTask('nothing', { handler: async () => null });
    await tasks.submit('nothing', { input: null });
    await app.get(TaskflowTesting).drain();
  }
  await app.close();
}

async function measured(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const kinds = { 'bare Nest': bare, 'with the kit': () => withKit(false), 'and one task': () => withKit(true) };
const times = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
for (let round = -5; round < ROUNDS; round++) {
  for (const [name, work] of Object.entries(kinds)) {
    const ms = await measured(work);
    if (round >= 0) times[name].push(ms);
  }
}
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const medians = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
for (const [name, ms] of Object.entries(medians)) console.log(`${name.padEnd(14)} ${ms.toFixed(2)} ms`);
console.log(`the kit adds ${(medians['with the kit'] - medians['bare Nest']).toFixed(2)} ms (target: at most ${LIMIT_MS} ms)`);
