/**
 * Rounds of SIGKILL under load, then the question whether every promise was kept.
 *
 *   npm run test:crash -- --rounds 50 [--lanes 2] [--seed 7]
 *
 * The rounds are shared out to lanes that run side by side, each in a folder of its own (default: one lane). Exits with 1 if a check
 * failed or the kills met no work; the folder of a lane that failed is kept.
 */
import { parseArgs } from 'node:util';
import { Campaign } from './campaign.mjs';

const MIN_SHARE_OF_BUSY_KILLS = 0.9;

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, lanes: { type: 'string', default: '1' }, seed: { type: 'string' } },
});
const [rounds, lanes] = [Number(values.rounds), Number(values.lanes)];
const seed = values.seed ?? String(Date.now() % 1_000_000);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a positive integer');
if (!Number.isInteger(lanes) || lanes < 1 || lanes > rounds) throw new Error('--lanes must be a positive integer, at most --rounds');

console.log(`seed ${seed}`);
const campaigns = Array.from({ length: lanes }, (_, lane) => {
  const share = Math.floor(rounds / lanes) + (lane < rounds % lanes ? 1 : 0);
  return new Campaign(lanes === 1 ? seed : `${seed}/${lane}`, share);
});
const outcomes = await Promise.all(campaigns.map((campaign) => campaign.run()));

const sum = (name) => outcomes.reduce((total, { counts }) => total + counts[name], 0);
const kills = sum('kills');
const share = (count) => `${count} (${Math.round((count / kills) * 100)} %)`;
console.log(`rounds                          ${kills}, and ${sum('early')} kills during a start`);
console.log(`tasks acknowledged              ${sum('acked')}, ${sum('durable')} durable, ${sum('events')} events`);
console.log(`kills with runs in flight       ${share(sum('withRuns'))}`);
console.log(`kills with unflushed entries    ${share(sum('withUnflushed'))}`);
console.log(`kills after segments were gone  ${share(sum('deleted'))}`);
console.log(`flush workers killed            ${sum('workersKilled')}`);
console.log(`tasks cancelled                 ${sum('cancelled')}`);
console.log(`runs recovered                  ${sum('recovered')}`);
console.log(`attempts started again          ${sum('startedAgain')}, all after their process died`);

const violations = outcomes.flatMap(({ verdict }) => verdict.violations);
// A share says nothing about a handful of kills: there, one has to be enough.
const required = kills < 10 ? 0.1 : MIN_SHARE_OF_BUSY_KILLS;
const busy = Math.min(sum('withRuns'), sum('withUnflushed')) / kills;
const metWork = busy >= required;
if (!metWork) violations.push(`the kills met work in flight and unflushed entries: only ${Math.round(busy * 100)} %`);
for (const violation of violations) console.log(`VIOLATION ${violation}`);
if (violations.length > 0) console.log(`again: npm run test:crash -- --rounds ${rounds} --lanes ${lanes} --seed ${seed}`);
console.log(`${outcomes.reduce((total, { verdict }) => total + verdict.passed, metWork ? 1 : 0)} passed, ${violations.length} failed`);
process.exit(violations.length > 0 ? 1 : 0);
