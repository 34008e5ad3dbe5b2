import { judge, spreadText, withUnit } from './figures.mjs';
import { TARGETS } from './targets.mjs';

/** Every figure with its spread, and each target that this run can tell of. */
export function printReport(report) {
  const groups = new Map();
  for (const { workload, variant, system, figures } of report.measurements)
    for (const [figure, value] of Object.entries(figures ?? {})) {
      const name = [workload, variant, system, figure].filter((part) => part !== undefined).join(' ');
      groups.set(name, [...(groups.get(name) ?? []), value]);
    }
  const rows = [...groups].map(([name, values]) => [name, spreadText(values)]);
  console.log('');
  printRows(rows);
  const judged = TARGETS.flatMap((target) => judge(report, target) ?? []);
  console.log('');
  printRows(
    judged.map(({ target, median, min, max, unit, bound, isMet }) => [
      target.what,
      `${withUnit(median, unit)} [${withUnit(min, unit)} .. ${withUnit(max, unit)}]`,
      bound,
      isMet ? 'met' : 'MISSED',
    ]),
  );
  for (const { system, reason } of report.skipped) console.log(`skipped ${system}: ${reason}`);
  if (report.quick) console.log('--quick: these figures show that everything runs, not how fast.');
  console.log(`${report.minutes} minutes`);
}

function printRows(rows) {
  const widths = rows.reduce((widest, row) => row.map((cell, column) => Math.max(cell.length, widest[column] ?? 0)), []);
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
}
