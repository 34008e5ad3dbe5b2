import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ALONE } from './alone/index.mjs';
import { commit, describeMachine, versionOf } from './core/machine.mjs';
import { lineOf, runRounds, SHARED } from './core/rounds.mjs';
import { removeWork } from './core/settings.mjs';
import { SYSTEMS } from './systems/index.mjs';
import { startServers } from './systems/servers.mjs';
import { printReport } from './report/print.mjs';

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));
const KEPT = fileURLToPath(new URL('../docs/benchmarks/', import.meta.url));
const IDS = [...SHARED, ...ALONE].map(({ id }) => id);
const PEERS = SYSTEMS.slice(1).map(({ name }) => name);

const USAGE = `npm run bench       [-- options]   ours and the ceilings
npm run bench:peers [-- options]   W1-W5 of the peers too, in the same rounds
  --rounds 5         measured rounds of W1-W5, after one that warms up
  --only W1,W2       workloads: ${IDS.join(', ')}. Default: all; with peers W1-W5
  --peers a,b        peers: all, or of ${PEERS.join(', ')}
  --quick            smaller loads: shows that everything runs, not how fast
  --keep <name>      also write docs/benchmarks/<name>.json, which "npm run bench:docs" reads`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    peers: { type: 'string' },
    quick: { type: 'boolean', default: false },
    keep: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

function oneOf(text, known, option) {
  const wanted = text.split(',');
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`${option}: unknown ${unknown.join(', ')}.\n${USAGE}`);
  return wanted;
}

async function main() {
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be a whole number from 1.\n${USAGE}`);
  if (values.keep !== undefined && !/^[\w-]+$/.test(values.keep)) throw new Error(`--keep takes a plain name.\n${USAGE}`);
  const peers = values.peers === undefined ? [] : values.peers === 'all' ? PEERS : oneOf(values.peers, PEERS, '--peers');
  const defaults = peers.length === 0 ? IDS : SHARED.map(({ id }) => id);
  const only = values.only === undefined ? defaults : oneOf(values.only, IDS, '--only');
  await removeWork();

  const wanted = SYSTEMS.filter(({ name }) => name === 'taskflow' || peers.includes(name));
  const { servers, versions, stop } = await startServers(new Set(wanted.map(({ needs }) => needs)));
  const skipped = [];
  const systems = wanted.flatMap((system) => {
    const reason = reasonToSkip(system, servers);
    if (reason === undefined) return [{ ...system, env: servers[system.needs]?.env }];
    skipped.push({ system: system.name, reason });
    return [];
  });
  const report = {
    date: new Date().toISOString(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    commit: commit(),
    machine: describeMachine(),
    rounds,
    quick: values.quick,
    versions: { ...versionsOf(systems), ...versions },
    settings: await settingsOf(systems),
    skipped,
    measurements: [],
  };
  console.log(JSON.stringify({ ...report, measurements: undefined }, null, 2));
  const say = (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
  const note = (measurement) => report.measurements.push(measurement);
  const startedAt = performance.now();
  try {
    const shared = SHARED.filter(({ id }) => only.includes(id));
    if (shared.length > 0) await runRounds({ workloads: shared, systems, rounds, quick: values.quick, say, note });
    for (const { id, measure } of ALONE.filter((workload) => only.includes(workload.id))) {
      const keep = (measurement) => {
        say(lineOf({ workload: id, ...measurement }));
        note({ workload: id, ...measurement });
      };
      await measure({ quick: values.quick, rounds, say, note: keep });
    }
  } finally {
    await stop();
    await removeWork();
  }
  report.minutes = Number(((performance.now() - startedAt) / 60_000).toFixed(1));
  printReport(report);
  await keepReport(report);
}

function reasonToSkip({ name, needs, package: dependency }, servers) {
  if (dependency !== undefined && versionOf(dependency) === undefined) return `not installed: run npm ci in bench/ (${dependency})`;
  const reason = servers[needs]?.reason;
  return reason === undefined ? undefined : `${name} needs ${needs}: ${reason}`;
}

function versionsOf(systems) {
  const names = ['typeorm', 'sqlite3', ...systems.flatMap(({ package: name }) => name ?? [])];
  if (systems.some(({ needs }) => needs?.startsWith('redis'))) names.push('ioredis');
  if (systems.some(({ needs }) => needs === 'postgres')) names.push('pg');
  return Object.fromEntries(names.map((name) => [name, versionOf(name)]));
}

async function settingsOf(systems) {
  const entries = systems.map(async ({ name, module }) => [name, (await import(module)).settings]);
  return Object.fromEntries(await Promise.all(entries));
}

async function keepReport(report) {
  await mkdir(RESULTS, { recursive: true });
  const text = `${JSON.stringify(report, null, 1)}\n`;
  const path = `${RESULTS}${report.date.replaceAll(':', '-')}.json`;
  await writeFile(path, text);
  console.log(`\n${path}`);
  if (values.keep === undefined) return;
  await mkdir(KEPT, { recursive: true });
  await writeFile(`${KEPT}${values.keep}.json`, text);
}

if (values.help) console.log(USAGE);
else {
  await main();
  // Libraries of peers may hold timers.
  process.exit(0);
}
