import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';
import { format } from '../core/format.mjs';
import { median, spread } from '../core/statistics.mjs';
import { judge, ratios, valuesByRound, withUnit } from './figures.mjs';
import { between, table } from './markdown.mjs';
import { barPlot, linePlot } from './plots.mjs';
import { aloneSections, sharedSections } from './sections.mjs';
import { TARGETS } from './targets.mjs';

const path = (relative) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const KEPT = path('docs/benchmarks/');
const NOTES = 'notes.md';

/** Writes docs/benchmarks.md, its plots and the README's line from the runs in docs/benchmarks/*.json. Measures nothing. */
async function main() {
  const files = readdirSync(KEPT);
  const reports = files
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => ({ name, ...JSON.parse(readFileSync(`${KEPT}${name}`, 'utf8')) }));
  if (reports.length === 0) throw new Error('There is no run in docs/benchmarks/: run with --keep <name> first.');
  const judged = TARGETS.flatMap((target) => firstOf(reports, (report) => judge(report, target)) ?? [{ target, bound: undefined }]);
  const plots = writePlots(reports);
  const notes = files.includes(NOTES) ? readFileSync(`${KEPT}${NOTES}`, 'utf8').trim() : undefined;
  const parts = [
    HEAD,
    warning(reports),
    '## Targets',
    targetTable(judged),
    ...plots,
    ...reports.flatMap(sectionOf),
    countsSection(),
    ...(notes === undefined ? [] : [notes]),
  ];
  await write('docs/benchmarks.md', parts.filter((part) => part !== '').join('\n\n'));
  const readme = readFileSync(path('README.md'), 'utf8');
  writeFileSync(path('README.md'), between(readme, 'bench', await short(reports, judged)));
}

const HEAD = `# Benchmarks

This page is written from the runs in \`docs/benchmarks/\` by \`npm run bench:docs\`; [what each workload measures](https://github.com/nestjs-taskflow/nestjs-taskflow/blob/main/bench/README.md) is
described beside the code. Every figure is a median, with the smallest and largest of its rounds: **median [min .. max]**. Rounds are
interleaved, and a ratio is the median of the ratios of each round, so that what else the machine does weighs on both sides.`;

/** Of the baseline that `npm run bench:counts` holds every change to. */
function countsSection() {
  const baselines = JSON.parse(readFileSync(path('bench/baseline.json'), 'utf8'));
  const versions = Object.keys(baselines);
  const rows = Object.entries(baselines[versions[0]]).flatMap(([group, values]) =>
    Object.keys(values).map((name) => [
      `${group}: ${name}`,
      ...versions.map((version) => format(baselines[version][group]?.[name] ?? NaN)),
    ]),
  );
  return `## Counts\n\n${COUNTS}\n\n${table(['', ...versions.map((version) => `Node ${version}`)], rows)}`;
}

const COUNTS = `Not measured but counted, so the same on a busy machine: \`npm run bench:counts\` fails when a change exceeds them. Per submit (256 in
flight), per run of a no-op task (waves of 50), per progress event (every 500th awaited), and SQL statements to flush 1,000 tasks that a crash
left. Allocations are those of interpreted code: optimised code allocates less, at a moment of its own choosing.`;

const warning = (reports) =>
  reports.some(({ quick }) => quick)
    ? '**At least one run below was made with --quick: its figures show that everything runs, not how fast.**'
    : '';

function firstOf(items, work) {
  for (const item of items) {
    const found = work(item);
    if (found !== null) return [found];
  }
  return undefined;
}

const range = ({ min, max, values }) => (values.length === 1 ? 'one run' : `${format(min)} .. ${format(max)}`);

function targetTable(judged) {
  const rows = judged.map((one) =>
    one.bound === undefined
      ? [one.target.what, 'not measured', '', '', '']
      : [one.target.what, withUnit(one.median, one.unit), range(one), one.bound, one.isMet ? 'met' : '**missed**'],
  );
  return table(['', 'median', 'min .. max', 'target', ''], rows);
}

async function short(reports, judged) {
  const shown = judged.filter(({ target, bound }) => target.inReadme === true && bound !== undefined);
  const figures = shown.map((one) => `${one.target.what}: ${withUnit(one.median, one.unit)} (target ${one.bound})`);
  const { date, machine, rounds } = reports[0];
  const text = `${figures.join('; ')}. ${date.slice(0, 10)}, ${machine.cpu}, Node ${machine.node.slice(1)}, medians of ${rounds} rounds; all targets, those missed too, settings of the peers and plots: [benchmarks](docs/benchmarks.md). \`npm run bench\` measures on your machine.`;
  return (await pretty(text)).trim();
}

function sectionOf(report) {
  const { name, command, date, commit, machine, rounds, minutes, versions, settings, skipped } = report;
  const facts = [
    `${date.slice(0, 16).replace('T', ' ')} UTC, commit ${commit}; ${rounds} rounds; ${minutes} minutes`,
    `${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.system}, file system ${machine.fileSystem}, Node ${machine.node}; servers and clients share the machine`,
    `versions: ${Object.entries(versions)
      .map(([key, value]) => `${key} ${value}`)
      .join('; ')}`,
    ...Object.entries(settings).map(([system, text]) => `${system}: ${text}`),
    ...skipped.map(({ system, reason }) => `skipped: ${system}, ${reason}`),
  ];
  return [
    `## Run “${name.replace(/\.json$/, '')}”: \`${command}\``,
    facts.map((fact) => `- ${fact}`).join('\n'),
    ...sharedSections(report),
    ...aloneSections(report),
  ];
}

function writePlots(reports) {
  const plots = [];
  const add = (file, alt, content) => {
    writeFileSync(`${KEPT}${file}`, content);
    plots.push(`![${alt}](benchmarks/${file})`);
  };
  for (const [id, alt] of [
    ['W1', 'Submits a second, as a share of the group-commit ceiling'],
    ['W2', 'Tasks a second to recorded completion, as a share of the group-commit ceiling'],
  ]) {
    const rows = firstOf(reports, (report) => shares(report, id))?.[0];
    if (rows !== undefined) add(`${id.toLowerCase()}-of-the-ceiling.svg`, alt, barPlot(alt, rows));
  }
  for (const [what, alt] of [
    ['backlog', 'Cost against backlog'],
    ['history', 'Cost against history'],
  ]) {
    const series = firstOf(reports, (report) => costSeries(report, what))?.[0];
    const label = what === 'backlog' ? 'tasks queued' : 'tasks finished';
    if (series !== undefined)
      add(`cost-against-${what}.svg`, alt, linePlot(`${alt}: rate / rate of an empty system`, label, series, { bound: 0.85 }));
  }
  return plots;
}

function shares(report, id) {
  const systems = [...new Set(report.measurements.filter(({ workload }) => workload === id).map(({ system }) => system))];
  const rows = systems.flatMap((system) => {
    const wanted = { workload: id, system, figure: 'perSecond' };
    const share = ratios(report, wanted, { workload: 'C1', system: 'ceiling', figure: 'perSecond' });
    if (share.length === 0) return [];
    const value = median(share);
    return [{ label: system, value, note: `${format(value)} (${format(median([...valuesByRound(report, wanted).values()]))}/s)` }];
  });
  return rows.length < 2 ? null : rows.sort((a, b) => b.value - a.value);
}

function costSeries(report, what) {
  const sizes = [
    ...new Set(
      report.measurements.flatMap(({ variant }) => (variant?.startsWith(`${what}-`) ? [Number(variant.slice(what.length + 1))] : [])),
    ),
  ].sort((a, b) => a - b);
  const points = (figure) =>
    sizes.flatMap((size) => {
      const values = [...valuesByRound(report, { workload: 'W8', system: 'taskflow', variant: `${what}-${size}`, figure }).values()];
      return values.length === 0 ? [] : [[size, spread(values).median]];
    });
  const series = [
    { label: 'W1, submits', points: points('submitRatio') },
    { label: 'W2, tasks', points: points('endToEndRatio') },
  ];
  return series.some(({ points: own }) => own.length === 0) ? null : series;
}

async function pretty(text) {
  return prettier.format(text, { ...(await prettier.resolveConfig(path('README.md'))), parser: 'markdown' });
}

const write = async (relative, text) => writeFileSync(path(relative), await pretty(text));

await main();
